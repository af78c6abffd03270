//! What a plan stands on: connector, connection, base URL, field definitions.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::ask::Asked;
use crate::connector::compile::{Connector, ResourcePlan};
use crate::connector::request::RequestTemplate;
use crate::connector::template::Names;
use crate::cursor;
use crate::error::{Error, Kind, Result};
use crate::mapping::CustomMappings;
use crate::model::{Call, Connection, Earlier, FieldDefinitions, Request};

/// What a plan stands on; made anew for every call, of shared parts.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The connector.
    pub connector: Arc<Connector>,
    /// Whose CRM.
    pub connection: Arc<Connection>,
    /// The base of every request.
    pub base: Url,
    /// The CRM's name of the object that the call is about.
    pub object: Option<Arc<str>>,
    /// What the CRM says about the resource's fields; none where it was not or could not be asked.
    pub definitions: Option<Arc<FieldDefinitions>>,
    /// The connection's own fields of the resource, where it has some.
    pub custom_mappings: Option<Arc<CustomMappings>>,
    /// What is asked for by name to read all fields, where it is known.
    pub asked: Option<Arc<Asked>>,
    /// Which of the several objects that are the call's resource, where it has several.
    pub source: Option<usize>,
    /// An earlier try of this write, where its outcome is not known.
    pub earlier: Option<Earlier>,
    /// The CRM's pages that one call may read to filter or sort what the CRM cannot.
    pub scan_pages: u32,
    /// The time of the call.
    pub now: jiff::Timestamp,
    /// Signs cursors.
    pub cursor_key: cursor::Key,
}

impl Ground {
    /// The resource of a call.
    ///
    /// # Errors
    /// If the connector has no mapping for it.
    pub fn resource(&self, call: &Call) -> Result<&ResourcePlan> {
        let none = || Error::internal(format!("{} was planned without a mapping", call.operation));
        let resource = self.connector.resources.get(&call.operation.resource).ok_or_else(none)?;
        match self.source {
            Some(index) => resource.sources.get(index).map(|source| &source.plan).ok_or_else(none),
            None => Ok(resource),
        }
    }

    /// The same ground for one of the several objects that are the call's resource.
    pub fn of_source(&self, index: usize, plan: &ResourcePlan, parent: Option<&str>) -> Ground {
        Ground { source: Some(index), object: plan.object(parent), asked: None, ..self.clone() }
    }

    /// A setting of the connection, or a value captured when it was authorised.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let connection = &self.connection;
        connection.settings.get(name).or_else(|| connection.captured.get(name)).map(String::as_str)
    }

    /// A request filled in, with the headers that the manifest wants on all of them.
    ///
    /// # Errors
    /// If a placeholder of its path has no value.
    pub fn request(&self, template: &RequestTemplate, names: &dyn Names) -> Result<Request> {
        let names = |name: &str| match name {
            "object" => self.object.as_deref().map(Value::from),
            name => names.get(name).or_else(|| self.setting(name).map(Value::from)),
        };
        let mut request = template.render(&self.base, &names).map_err(|message| {
            // An id that cannot stand in a path can be the id of no record.
            Error::new(Kind::EntityNotFoundError, "There is no record with that id.").source(message)
        })?;
        for (name, value) in &self.connector.headers {
            if !request.headers.iter().any(|(known, _)| known == name) {
                request.headers.push((name.clone(), value.clone()));
            }
        }
        request.headers.retain(|(name, _)| !self.connector.never.contains(name));
        Ok(request)
    }
}
