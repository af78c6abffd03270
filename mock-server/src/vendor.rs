//! The vendors this server speaks for. A new one is a variant here, a folder beside `hubspot/`, and its line in
//! `server::dispatch`.

use serde::{Deserialize, Serialize};

/// A CRM vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// HubSpot CRM.
    Hubspot,
    /// Pipedrive.
    Pipedrive,
    /// Concord CRM.
    Concord,
    /// TLDCRM.
    Tldcrm,
}

impl Vendor {
    /// Every vendor, in the order of their path prefixes in the documentation.
    pub const ALL: [Vendor; 4] = [Vendor::Hubspot, Vendor::Pipedrive, Vendor::Concord, Vendor::Tldcrm];

    /// The first path segment that all of the vendor's paths begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Vendor::Hubspot => "hubspot",
            Vendor::Pipedrive => "pipedrive",
            Vendor::Concord => "concord",
            Vendor::Tldcrm => "tldcrm",
        }
    }

    /// Finds the vendor of a whole path, and the path below its prefix.
    pub fn of_path(path: &str) -> Option<(Vendor, &str)> {
        let rest = path.strip_prefix('/')?;
        for vendor in Vendor::ALL {
            match rest.strip_prefix(vendor.prefix()) {
                Some("") => return Some((vendor, "/")),
                Some(below) if below.starts_with('/') => return Some((vendor, below)),
                _ => {}
            }
        }
        None
    }

    /// Lifetime of access tokens unless an account says otherwise, seconds.
    pub fn token_lifetime_s(self) -> i64 {
        match self {
            Vendor::Hubspot => 1800,
            Vendor::Pipedrive => 3600,
            // Personal access tokens and API keys do not expire.
            Vendor::Concord | Vendor::Tldcrm => 315_360_000,
        }
    }
}
