//! What the OAuth side of a manifest must hold to, and which hosts its URLs may lead to.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::compile::{PointedFault, meant};
use super::manifest::{GrantKind, Manifest, OAuth2, Urls};
use super::template::Template;

/// Parameters of the authorize URL that are not for a manifest to set.
const AUTHORIZE: [&str; 7] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
];

/// Parameters of the token request that are not for a manifest to set.
const TOKEN: [&str; 9] = [
    "client_id",
    "client_secret",
    "grant_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "username",
    "password",
];

/// Every fault of the manifest's OAuth side.
pub fn check(manifest: &Manifest) -> Vec<PointedFault> {
    let Some(oauth) = &manifest.auth.oauth2 else { return Vec::new() };
    let mut faults = Vec::new();
    let captured = oauth.capture.values().chain(oauth.capture_callback.values());
    let known: Vec<&String> = manifest.settings.iter().map(|setting| &setting.id).chain(captured).collect();
    let sides = [
        ("authorize_url", oauth.authorize_url.as_ref()),
        ("token_url", Some(&oauth.token_url)),
        ("revoke_url", oauth.revoke_url.as_ref()),
    ];
    for (key, urls) in sides {
        for text in urls.map(Urls::all).unwrap_or_default() {
            let at = format!("/auth/oauth2/{key}");
            faults.extend(url_faults(text, &known, oauth).into_iter().map(|says| (at.clone(), says)));
        }
        if urls.is_some_and(|urls| urls.all().is_empty()) {
            faults.push((format!("/auth/oauth2/{key}"), "at least one URL is needed".to_owned()));
        }
    }
    for host in &oauth.hosts {
        if let Err(says) = Allowed::parse(host) {
            faults.push(("/auth/oauth2/hosts".to_owned(), says));
        }
    }
    faults.extend(grants(manifest, oauth));
    for (key, params, reserved) in [
        ("authorize_params", &oauth.authorize_params, AUTHORIZE.as_slice()),
        ("token_params", &oauth.token_params, TOKEN.as_slice()),
    ] {
        for name in params.keys().filter(|name| reserved.contains(&name.as_str())) {
            let says = format!("`{name}` is set by the gateway");
            faults.push((format!("/auth/oauth2/{key}/{name}"), says));
        }
    }
    if oauth.scope_separator.is_empty() {
        faults.push(("/auth/oauth2/scope_separator".to_owned(), "must not be empty".to_owned()));
    }
    if oauth.expires_in_s.is_some_and(|life| !(30..=315_360_000).contains(&life)) {
        let says = "must be between 30 seconds and ten years".to_owned();
        faults.push(("/auth/oauth2/expires_in_s".to_owned(), says));
    }
    faults
}

fn grants(manifest: &Manifest, oauth: &OAuth2) -> Vec<PointedFault> {
    let at = "/auth/oauth2/grants".to_owned();
    let mut faults = Vec::new();
    if oauth.grants.is_empty() {
        faults.push((at.clone(), "at least one grant is needed".to_owned()));
    }
    if oauth.grants.contains(&GrantKind::AuthorizationCode) && oauth.authorize_url.is_none() {
        faults.push((at.clone(), "`authorization_code` needs `authorize_url`".to_owned()));
    }
    let entered = |id: &str| manifest.auth.secrets.iter().any(|secret| secret.id == id);
    if oauth.grants.contains(&GrantKind::Password) && !(entered("username") && entered("password")) {
        let says = "`password` needs the secrets `username` and `password` in `auth.secrets`".to_owned();
        faults.push((at, says));
    }
    faults
}

fn url_faults(text: &str, known: &[&String], oauth: &OAuth2) -> Vec<String> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(says) => return vec![says],
    };
    let mut faults = Vec::new();
    let names: Vec<&str> = template.names().collect();
    for name in &names {
        if !known.iter().any(|known| known == name) {
            let meant = meant(name, known.iter().copied());
            faults.push(format!("`{{{name}}}` is neither a setting nor a captured value{meant}"));
        }
    }
    if names.is_empty() {
        let fits = Url::parse(text).ok().is_some_and(|url| is_safe(&url));
        if !fits {
            faults.push(format!("`{text}` is not an https URL without user, password and fragment"));
        }
    } else if oauth.hosts.is_empty() {
        faults.push(format!("`{text}` has names, so `hosts` must say where it may lead"));
    }
    faults
}

/// Whether tokens may travel there: https, or plain HTTP that does not leave the machine; no user, password or fragment.
pub fn is_safe(url: &Url) -> bool {
    let scheme = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    };
    scheme && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Whether a URL's host is this machine, named by address or `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// An entry of a list of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// That host, over https on its own port.
    Host(String),
    /// Every host below that domain, over https on its own port.
    Below(String),
    /// That scheme, host and port.
    Origin(url::Origin),
}

impl Allowed {
    /// Parses an entry.
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(text: &str) -> Result<Allowed, String> {
        if text.contains("://") {
            let url = Url::parse(text).ok().filter(is_safe);
            let url = url.filter(|url| url.path() == "/" && url.query().is_none());
            return url
                .map(|url| Allowed::Origin(url.origin()))
                .ok_or_else(|| format!("`{text}` is not an https origin"));
        }
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let labels = name.split('.').collect::<Vec<_>>();
        let fits = |label: &&str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if labels.len() < 2 || !labels.iter().all(fits) {
            return Err(format!("`{text}` is neither a host such as accounts.crm.example nor *.crm.example"));
        }
        let name = name.to_ascii_lowercase();
        Ok(if below { Allowed::Below(name) } else { Allowed::Host(name) })
    }

    /// Whether a URL leads there.
    pub fn admits(&self, url: &Url) -> bool {
        let host = || url.host_str().filter(|_| url.scheme() == "https" && url.port().is_none());
        match self {
            Allowed::Origin(origin) => url.origin() == *origin,
            Allowed::Host(name) => host().is_some_and(|host| host == name),
            Allowed::Below(name) => host()
                .and_then(|host| host.strip_suffix(name.as_str()))
                .is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

/// The URL of the first template whose names all have values: none if all lack some.
///
/// # Errors
/// One sentence: the values make no URL, or one that leads where it must not.
pub fn url_of(
    templates: &[Template],
    hosts: &[Allowed],
    values: &BTreeMap<String, String>,
) -> Result<Option<Url>, String> {
    let value = |name: &str| values.get(name).map(|text| serde_json::Value::from(text.as_str()));
    for template in templates {
        let Some(text) = template.render(&value) else { continue };
        let named = template.names().next().is_some();
        let url = Url::parse(&text).ok().filter(is_safe);
        let url = url.filter(|url| !named || hosts.iter().any(|host| host.admits(url)));
        // The text stays out: it may be anything that somebody put into a callback.
        return url
            .map(Some)
            .ok_or_else(|| "its settings lead to a host that the connector does not know".to_owned());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_admit_what_they_say_and_nothing_else() {
        let admits =
            |entry: &str, url: &str| Allowed::parse(entry).unwrap().admits(&Url::parse(url).unwrap());
        assert!(admits("accounts.zoho.eu", "https://accounts.zoho.eu/oauth/v2/token"));
        assert!(admits("*.my.salesforce.com", "https://acme.my.salesforce.com/x"));
        assert!(admits("http://127.0.0.1:99", "http://127.0.0.1:99/x"));
        for (entry, url) in [
            ("accounts.zoho.eu", "http://accounts.zoho.eu/"),
            ("accounts.zoho.eu", "https://accounts.zoho.eu:8443/"),
            ("accounts.zoho.eu", "https://accounts.zoho.eu.evil.example/"),
            ("accounts.zoho.eu", "https://xaccounts.zoho.eu/"),
            ("*.my.salesforce.com", "https://my.salesforce.com/"),
            ("*.my.salesforce.com", "https://evilmy.salesforce.com/"),
            ("*.my.salesforce.com", "https://acme.my.salesforce.com.evil.example/"),
            ("http://127.0.0.1:99", "http://127.0.0.1:98/"),
        ] {
            assert!(!admits(entry, url), "{entry} {url}");
        }
        for wrong in
            ["", "*", "*.com", "com", "a b.example", "https://x.example/path", "http://x.example", "a/b.c"]
        {
            assert!(Allowed::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_url_with_all_its_values_counts_and_is_held_to_its_hosts() {
        let templates: Vec<Template> = ["{server}/oauth/token", "https://accounts.zoho.com/oauth/token"]
            .map(|text| Template::parse(text).unwrap())
            .to_vec();
        let hosts = [Allowed::parse("accounts.zoho.eu").unwrap()];
        let url = |server: Option<&str>| {
            let values = server.map(|server| ("server".to_owned(), server.to_owned())).into_iter().collect();
            url_of(&templates, &hosts, &values).map(|url| url.unwrap().to_string())
        };
        assert_eq!(url(None).unwrap(), "https://accounts.zoho.com/oauth/token");
        assert_eq!(url(Some("https://accounts.zoho.eu")).unwrap(), "https://accounts.zoho.eu/oauth/token");
        for evil in [
            "https://evil.example",
            "https://accounts.zoho.eu@evil.example",
            "https://a:b@accounts.zoho.eu",
            "http://accounts.zoho.eu",
            "https://accounts.zoho.eu:444",
            "https://evil.example/?https://accounts.zoho.eu",
            "https://evil.example#",
            "javascript:alert(1)//",
            "",
        ] {
            assert!(url(Some(evil)).is_err(), "{evil}");
        }
    }
}
