//! Where browsers may be sent after an authorisation: an application's own list, compared letter by letter.

use url::Url;

use crate::connector::oauth::is_loopback;

/// Longest redirect URI, in bytes.
const LONGEST: usize = 2000;

/// Stands for any port, on loopback addresses only (RFC 8252, section 7.3).
const ANY_PORT: &str = ":*";

/// Whether a URI can be put on an application's list.
///
/// # Errors
/// One sentence.
pub fn check(uri: &str) -> Result<(), String> {
    let no = |why: &str| Err(format!("`{uri}` cannot be a redirect URI: {why}"));
    if uri.len() > LONGEST || uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return no("it must be up to 2000 visible ASCII characters");
    }
    let any_port = uri.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let any_port = any_port.is_some_and(|authority| authority.ends_with(ANY_PORT));
    let parsed = if any_port { uri.replacen(ANY_PORT, ":1", 1) } else { uri.to_owned() };
    let Ok(url) = Url::parse(&parsed) else { return no("it is not a URL") };
    if uri.contains('\\') || uri.contains(":///") {
        return no("it has slashes where none belong");
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return no("it must not have a fragment, user or password");
    }
    match url.scheme() {
        "https" if url.has_host() && !any_port => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" | "https" => no("it must be https; http and `:*` are for loopback addresses"),
        // A native application's own scheme is a domain name backwards (RFC 8252, section 7.1).
        scheme if scheme.contains('.') => Ok(()),
        _ => no("its scheme is neither https nor a native application's such as com.example.app"),
    }
}

/// Whether the list lets browsers be sent there.
pub fn allows(list: &[String], uri: &str) -> bool {
    if check(uri).is_err() || uri.contains(ANY_PORT) {
        return false;
    }
    let with_any_port = any_port(uri);
    list.iter().any(|entry| entry == uri || with_any_port.as_ref() == Some(entry))
}

/// A loopback URI with its port left open.
fn any_port(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let (host, port) = authority.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(format!("http://{host}{ANY_PORT}{path}"))
}

/// The URI with more in its query.
pub fn with(uri: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut uri = uri.clone();
    uri.query_pairs_mut().extend_pairs(pairs);
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_on_the_list() {
        for good in [
            "https://app.example/done",
            "https://app.example:8443/done?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:*/cb",
            "http://[::1]:*/cb",
            "http://localhost:3000/",
            "com.example.app:/done",
            "com.example.app://done",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/done",
            "app.example/done",
            "http://app.example/done",
            "https://app.example:*/done",
            "http://app.example:*/done",
            "https://app.example/done#x",
            "https://user@app.example/",
            "https://user:pw@app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://app.example/a b",
            "https://app.example/\r\nset-cookie:x",
            "https:///nowhere",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_list_is_compared_letter_by_letter() {
        let list = ["https://app.example/done", "http://127.0.0.1:*/cb", "http://localhost:3000/x"]
            .map(str::to_owned);
        for good in [
            "https://app.example/done",
            "http://127.0.0.1:49152/cb",
            "http://127.0.0.1:1/cb",
            "http://localhost:3000/x",
        ] {
            assert!(allows(&list, good), "{good}");
        }
        for bad in [
            "https://app.example/done/",
            "https://app.example/Done",
            "https://APP.example/done",
            "https://app.example/done?x=1",
            "https://app.example/done/../evil",
            "https://app.example.evil.example/done",
            "https://app.example@evil.example/done",
            "https://app.example:443/done",
            "http://app.example/done",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:*/cb",
            "http://127.0.0.1:1/cb/x",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:1@evil.example:2/cb",
            "http://127.0.0.2:1/cb",
            "http://localhost:3001/x",
            "//app.example/done",
            "",
        ] {
            assert!(!allows(&list, bad), "{bad}");
        }
        assert!(!allows(&[], "https://app.example/done"));
    }
}
