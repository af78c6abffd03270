//! Connectors as data. In: `connectors/<id>/manifest.yaml` and `mappings/<id>/*.yaml`. Out: compiled [`Connector`]s in a
//! [`Registry`]. Never: sockets, clock, logs; files only in [`load`].
//!
//! Reading order: [`manifest`] what a manifest says · [`template`] and [`request`] requests with placeholders ·
//! [`oauth`] what an OAuth side must hold to · [`pattern`] what resources have in common · [`compile`] everything parsed · [`cross`] what files must agree on · [`dig`] dotted paths · [`load`] files to registry.

pub mod compile;
pub mod cross;
pub mod dig;
pub mod load;
pub mod manifest;
pub mod oauth;
pub mod pattern;
pub mod request;
pub mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use compile::Connector;

use crate::model::ServiceId;

/// All connectors, by service id.
#[derive(Debug, Default)]
pub struct Registry {
    connectors: BTreeMap<String, Arc<Connector>>,
}

impl Registry {
    /// A registry of these.
    pub fn new(connectors: impl IntoIterator<Item = Connector>) -> Registry {
        let connectors = connectors
            .into_iter()
            .map(|connector| (connector.manifest.connector.clone(), Arc::new(connector)));
        Registry { connectors: connectors.collect() }
    }

    /// The connector with that service id.
    pub fn get(&self, service: &ServiceId) -> Option<&Arc<Connector>> {
        self.connectors.get(service.as_str())
    }

    /// All connectors, by service id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connector>> {
        self.connectors.values()
    }
}
