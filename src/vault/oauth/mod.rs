//! How a customer connects a CRM. In: a signed link, the CRM's callback. Out: where the browser goes next, stored tokens.
//! Never: HTTP replies, an address that the application or the manifest does not allow.
//!
//! [`provider`] a CRM's OAuth side · [`link`] signed links and states · [`redirect`] where browsers may be sent ·
//! [`authorize`] to the CRM's page · [`callback`] and back · [`revoke`] the end · [`obtain`] tokens without a browser ·
//! [`renewal`] the next access token.

pub mod authorize;
pub mod callback;
pub mod link;
pub mod obtain;
pub mod provider;
pub mod redirect;
pub mod renewal;
pub mod revoke;

use std::sync::Arc;

use url::Url;

pub use authorize::{Asked, Started};
pub use callback::{Callback, Finished};
pub use provider::{Provider, known_of};
pub use revoke::Revoked;

use crate::error::{Error, Kind};
use crate::model::ServiceId;
use crate::storage;

/// What the registry says of a connector.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its OAuth side, where it has one.
    pub provider: Option<Arc<Provider>>,
    /// Settings without which a connection cannot be called.
    pub required: Vec<String>,
}

/// Connectors by service id.
pub type Sides<'a> = &'a (dyn Fn(&ServiceId) -> Option<Side> + Sync);

/// Why a browser is not sent where it wanted.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The application's page, told of the error in its query; none while no redirect URI is known to be the application's.
    pub back: Option<Url>,
}

impl Refused {
    fn back(error: Error, redirect_uri: &Url, service: &ServiceId) -> Refused {
        let code = match error.kind() {
            Kind::OAuthConnectorError | Kind::InternalError | Kind::ServiceUnavailableError => {
                "temporarily_unavailable"
            }
            Kind::OAuthCodeExchangeError => "access_denied",
            _ => "invalid_request",
        };
        let pairs = [
            ("error", code),
            ("error_description", &error.to_string()),
            ("error_type", error.kind().name()),
            ("service_id", service.as_str()),
        ];
        let back = Some(redirect::with(redirect_uri, &pairs));
        Refused { error, back }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused { error, back: None }
    }
}

impl From<storage::Error> for Refused {
    fn from(error: storage::Error) -> Refused {
        Refused { error: error.into(), back: None }
    }
}
