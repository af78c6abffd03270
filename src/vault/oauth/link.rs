//! Signed texts that travel through browsers: links that stand for an API key for one purpose and a while, and the state
//! of an authorisation.
//!
//! A link says in the clear what it is for, and can be used until its end. A state says nothing: it is random, bound to the
//! browser that it was made for, and what it stands for is in the database, once.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::{AppId, ConsumerId, ServiceId};
use crate::storage::{Error, Key, StateId, Store};

/// How long a link can be used, in milliseconds.
pub const LINK_MS: i64 = 3_600_000;

/// How long a CRM's page may take, in milliseconds.
pub const STATE_MS: i64 = 600_000;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// To begin an authorisation.
    Authorize,
    /// To end one.
    Revoke,
}

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is for.
    #[serde(rename = "use")]
    pub purpose: Use,
    /// Whose application.
    pub app: AppId,
    /// Whose CRM.
    pub consumer: ConsumerId,
    /// Which CRM.
    pub service: ServiceId,
    /// When it ends, in milliseconds since 1970.
    pub exp: i64,
}

/// Signs links and states, with keys of their own.
pub struct Signer {
    links: hmac::Key,
    states: hmac::Key,
}

/// A state, in its three shapes.
pub struct State {
    /// What the CRM gets and gives back.
    pub text: String,
    /// What it is kept under.
    pub id: StateId,
    /// What the browser gets and gives back, where it is bound to one.
    pub browser: Option<String>,
}

const NONCE_LEN: usize = 32;
const BODY_LEN: usize = 1 + NONCE_LEN + 8;
const STATE_LEN: usize = BODY_LEN + 32;

/// A longer text is neither; it is not even decoded.
const LONGEST: usize = 2048;

impl Signer {
    /// The signer of that database: the same for every process on it.
    pub fn new(store: &Store) -> Result<Signer, Error> {
        let key = |label| Ok::<_, Error>(store.derived_key(label)?.hmac());
        Ok(Signer { links: key("oauth link")?, states: key("oauth state")? })
    }

    /// The link as text.
    pub fn link(&self, link: &Link) -> String {
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(link).unwrap_or_default());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&self.links, body.as_bytes()));
        format!("{body}.{tag}")
    }

    /// What a text says, if it is one of ours, for that purpose and not over.
    pub fn read_link(&self, text: &str, purpose: Use, now_ms: i64) -> Option<Link> {
        let (body, tag) = text.split_once('.').filter(|_| text.len() <= LONGEST)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.links, body.as_bytes(), &tag).ok()?;
        let link: Link = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (link.purpose == purpose && link.exp > now_ms).then_some(link)
    }

    /// A new state that ends then; `for_browser`: only the browser that got its other half can use it.
    pub fn state(&self, for_browser: bool, expires_ms: i64) -> Result<State, Error> {
        let nonce = Key::random()?;
        let mut bytes = Vec::with_capacity(STATE_LEN);
        bytes.push(u8::from(for_browser));
        bytes.extend_from_slice(nonce.bytes());
        bytes.extend_from_slice(&expires_ms.to_be_bytes());
        bytes.extend_from_slice(self.tag(b"state", &bytes).as_ref());
        let browser = for_browser.then(|| self.browser(nonce.bytes()));
        Ok(State { text: URL_SAFE_NO_PAD.encode(&bytes), id: self.id(nonce.bytes()), browser })
    }

    /// What a text is kept under, if it is one of ours and not over; `cookies` gives the browser's half by the cookie's name.
    pub fn read_state(
        &self,
        text: &str,
        cookie: impl Fn(&str) -> Option<String>,
        now_ms: i64,
    ) -> Option<StateId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == STATE_LEN)?;
        let (body, tag) = bytes.split_at_checked(BODY_LEN)?;
        constant_time::verify_slices_are_equal(self.tag(b"state", body).as_ref(), tag).ok()?;
        let (for_browser, rest) = body.split_first()?;
        let (nonce, expires) = rest.split_at_checked(NONCE_LEN)?;
        if i64::from_be_bytes(expires.try_into().ok()?) <= now_ms {
            return None;
        }
        let id = self.id(nonce);
        if *for_browser != 0 {
            let shown = cookie(&cookie_name(&id))?;
            let expected = self.browser(nonce);
            constant_time::verify_slices_are_equal(expected.as_bytes(), shown.as_bytes()).ok()?;
        }
        Some(id)
    }

    /// A new one-time token, and what it is kept under.
    pub fn token(&self) -> Result<(String, StateId), Error> {
        let nonce = Key::random()?;
        Ok((URL_SAFE_NO_PAD.encode(nonce.bytes()), self.id(nonce.bytes())))
    }

    /// What a one-time token is kept under.
    pub fn token_id(&self, text: &str) -> Option<StateId> {
        let nonce = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == NONCE_LEN)?;
        Some(self.id(&nonce))
    }

    fn browser(&self, nonce: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.tag(b"browser", nonce))
    }

    fn id(&self, nonce: &[u8]) -> StateId {
        let mut id = StateId::default();
        id.iter_mut().zip(self.tag(b"id", nonce).as_ref()).for_each(|(to, from)| *to = *from);
        id
    }

    fn tag(&self, label: &[u8], of: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.states);
        context.update(label);
        context.update(&[0]);
        context.update(of);
        context.sign()
    }
}

/// The cookie that holds the browser's half of a state: one for each, so that two tabs do not disturb each other.
pub fn cookie_name(id: &StateId) -> String {
    let short: String = id.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("crosswalk_oauth_{short}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Location;

    async fn signer() -> Signer {
        Signer::new(&Store::open(Location::Memory, Key::random().unwrap()).await.unwrap()).unwrap()
    }

    fn link(exp: i64) -> Link {
        Link {
            purpose: Use::Authorize,
            app: AppId::new("shop"),
            consumer: ConsumerId::new("ann"),
            service: ServiceId::new("hubspot"),
            exp,
        }
    }

    #[tokio::test]
    async fn a_link_is_good_for_its_purpose_until_its_end_and_unaltered() {
        let signer = signer().await;
        let text = signer.link(&link(1000));
        assert_eq!(signer.read_link(&text, Use::Authorize, 999), Some(link(1000)));
        assert_eq!(signer.read_link(&text, Use::Authorize, 1000), None);
        assert_eq!(signer.read_link(&text, Use::Revoke, 0), None);
        let (body, tag) = text.split_once('.').unwrap();
        let mut other = link(1000);
        other.consumer = ConsumerId::new("bob");
        let forged = signer.link(&other);
        let forged = forged.split_once('.').unwrap().0;
        for altered in [
            format!("{forged}.{tag}"),
            format!("{body}."),
            body.to_owned(),
            format!("{body}.{tag}A"),
            String::new(),
        ] {
            assert_eq!(signer.read_link(&altered, Use::Authorize, 0), None, "{altered}");
        }
        assert_eq!(
            super::tests::signer().await.read_link(&text, Use::Authorize, 0),
            None,
            "another database's"
        );
    }

    #[tokio::test]
    async fn a_state_is_good_in_its_browser_until_its_end_and_unaltered() {
        let signer = signer().await;
        let state = signer.state(true, 1000).unwrap();
        let half = state.browser.clone().unwrap();
        let mine = |name: &str| (name == cookie_name(&state.id)).then(|| half.clone());
        assert_eq!(signer.read_state(&state.text, mine, 999), Some(state.id));
        assert_eq!(signer.read_state(&state.text, mine, 1000), None);
        assert_eq!(signer.read_state(&state.text, |_: &str| None, 0), None, "another browser");
        let other = signer.state(true, 1000).unwrap();
        assert_eq!(signer.read_state(&state.text, |_: &str| other.browser.clone(), 0), None);
        let bytes = URL_SAFE_NO_PAD.decode(&state.text).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let altered = URL_SAFE_NO_PAD.encode(altered);
            assert_eq!(signer.read_state(&altered, mine, 0), None, "byte {at}");
        }
        assert_eq!(signer.read_state(&state.text[..40], mine, 0), None);
        let free = signer.state(false, 1000).unwrap();
        assert!(free.browser.is_none());
        assert_eq!(signer.read_state(&free.text, |_: &str| None, 0), Some(free.id));
        assert_ne!(free.id, state.id);
    }
}
