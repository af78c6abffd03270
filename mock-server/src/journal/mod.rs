//! Room: journal. In: every request as received, and what was answered. Out: those that a filter asks for. Never: more
//! than its capacity.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::faults::glob;
use crate::vendor::Vendor;

/// One request as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its vendor.
    pub vendor: Vendor,
    /// Its account, if its credentials named one.
    pub account: Option<String>,
    /// Its verb.
    pub method: String,
    /// Its path below the vendor's prefix.
    pub path: String,
    /// Its raw query.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status answered; absent when the connection was dropped.
    pub status: Option<u16>,
    /// The faults it met.
    pub faults: Vec<String>,
    /// When it arrived.
    pub at_ms: i64,
}

/// One request as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its place among all requests since the server started, from 1.
    pub number: u64,
    /// When it arrived, milliseconds since 1970.
    pub at_ms: i64,
    /// Its vendor.
    pub vendor: Vendor,
    /// Its account, if its credentials named one.
    pub account: Option<String>,
    /// Its verb.
    pub method: String,
    /// Its path below the vendor's prefix.
    pub path: String,
    /// Its raw query.
    pub query: Option<String>,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body as text.
    pub body: String,
    /// The status answered; absent when the connection was dropped.
    pub status: Option<u16>,
    /// The faults it met.
    pub faults: Vec<String>,
}

impl Entry {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Which entries to show. Absent conditions match everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only this vendor's.
    pub vendor: Option<Vendor>,
    /// Only this account's.
    pub account: Option<String>,
    /// Only this verb.
    pub method: Option<String>,
    /// Only paths that match; `*` stands for any run of characters.
    pub path: Option<String>,
    /// Only this status.
    pub status: Option<u16>,
    /// Only entries with a greater number.
    pub after: Option<u64>,
}

impl Filter {
    /// One account's requests.
    pub fn account(vendor: Vendor, account: &str) -> Filter {
        Filter { vendor: Some(vendor), account: Some(account.to_owned()), ..Filter::default() }
    }

    /// The filter, for paths of one pattern.
    pub fn path(mut self, path: &str) -> Filter {
        self.path = Some(path.to_owned());
        self
    }

    /// The filter, for one verb.
    pub fn method(mut self, method: &str) -> Filter {
        self.method = Some(method.to_owned());
        self
    }

    fn shows(&self, number: u64, kept: &Kept) -> bool {
        self.vendor.is_none_or(|vendor| vendor == kept.vendor)
            && self.account.as_deref().is_none_or(|account| Some(account) == kept.account.as_deref())
            && self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&kept.method))
            && self.path.as_deref().is_none_or(|path| glob(path, &kept.path))
            && self.status.is_none_or(|status| Some(status) == kept.status)
            && self.after.is_none_or(|after| number > after)
    }
}

/// The last requests, oldest first.
#[derive(Debug)]
pub struct Journal {
    capacity: usize,
    total: u64,
    kept: VecDeque<(u64, Kept)>,
}

impl Journal {
    /// An empty journal that keeps so many requests.
    pub fn new(capacity: usize) -> Journal {
        Journal { capacity, total: 0, kept: VecDeque::new() }
    }

    /// Keeps a request, forgetting the oldest if there is no room.
    pub fn add(&mut self, kept: Kept) {
        self.total += 1;
        if self.capacity == 0 {
            return;
        }
        if self.kept.len() >= self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back((self.total, kept));
    }

    /// Forgets everything but the count.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// How many requests were received since the start.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many kept requests the filter shows.
    pub fn count(&self, filter: &Filter) -> usize {
        self.kept.iter().filter(|(number, kept)| filter.shows(*number, kept)).count()
    }

    /// The kept requests that the filter shows, oldest first.
    pub fn entries(&self, filter: &Filter) -> Vec<Entry> {
        self.kept
            .iter()
            .filter(|(number, kept)| filter.shows(*number, kept))
            .map(|(number, kept)| Entry {
                number: *number,
                at_ms: kept.at_ms,
                vendor: kept.vendor,
                account: kept.account.clone(),
                method: kept.method.clone(),
                path: kept.path.clone(),
                query: kept.query.clone(),
                headers: kept
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    })
                    .collect(),
                body: String::from_utf8_lossy(&kept.body).into_owned(),
                status: kept.status,
                faults: kept.faults.clone(),
            })
            .collect()
    }
}
