//! A connection as the wire has it, from the connector, the application's integration and what is stored.

use serde_json::{Map, Value, json};

use super::reply::time;
use super::{Desk, form};
use crate::app::Service;
use crate::connector::manifest::Status;
use crate::error::Result;
use crate::model::{ConnectionState, ConsumerId, ServiceId, Verb};
use crate::storage::connections::state_name;
use crate::storage::{Consent, DataScopes, Extras, Integration, StoredConnection};
use crate::vault::scopes::{ConsentState, consent_state};

/// The only unified API here.
pub const UNIFIED_API: &str = "crm";

/// What a connection's card is made of.
pub struct Card<'a> {
    /// The connector's id.
    pub id: &'a ServiceId,
    /// The connector.
    pub service: &'a Service,
    /// The application's settings for it; none where it has not enabled it.
    pub integration: Option<&'a Integration>,
    /// The connection; none where it is only available.
    pub stored: Option<&'a StoredConnection>,
    /// Defaults and consents.
    pub extras: Option<&'a Extras>,
    /// What the application asks for.
    pub scopes: Option<&'a DataScopes>,
}

impl Card<'_> {
    /// The whole connection.
    ///
    /// # Errors
    /// A link could not be signed.
    pub fn whole(&self, desk: &Desk<'_>, consumer: Option<&ConsumerId>) -> Result<Value> {
        let mut card = self.head();
        let manifest = &self.service.connector.manifest;
        let resources: Vec<&str> =
            self.service.connector.resources.keys().map(|resource| resource.name()).collect();
        let creatable: Vec<&str> = self
            .service
            .connector
            .resources
            .iter()
            .filter(|(_, plan)| plan.has(Verb::Create))
            .map(|(resource, _)| resource.name())
            .collect();
        let more = json!({
            "integration_state": self.integration_state(),
            "status": match manifest.status { Status::Live | Status::Beta => "live" },
            "settings": self.stored.map_or_else(Map::new, settings),
            "metadata": self.stored.map_or_else(Map::new, |stored| stored.metadata.clone()),
            "form_fields": form::fields(self.service),
            "configuration": self.configuration(),
            "configurable_resources": creatable,
            "resource_settings_support": creatable,
            "resource_schema_support": resources,
            "validation_support": true,
            "schema_support": true,
            "settings_required_for_authorization": [],
            "subscriptions": [],
            "has_guide": false,
            "consent_state": self.consent_state().name(),
            "consents": self.consents().iter().map(consent).collect::<Vec<_>>(),
            "created_at": self.stored.map(|stored| stored.created_ms),
            "updated_at": self.stored.map(|stored| stored.updated_ms),
        });
        extend(&mut card, more);
        if let Some(latest) = self.consents().last() {
            extend(&mut card, json!({ "latest_consent": consent(latest) }));
        }
        if let Some(scopes) = self.scopes {
            extend(
                &mut card,
                json!({ "application_data_scopes": {
                "enabled": scopes.enabled, "resources": scopes.resources, "updated_at": time(scopes.updated_ms),
            } }),
            );
        }
        if let (Some(_), Some(consumer)) = (&self.service.oauth, consumer) {
            let whose = (desk.app()?, consumer, self.id);
            let (base, vault) = (desk.visitor.public_base.as_str(), &desk.shared.vault);
            extend(
                &mut card,
                json!({
                    "oauth_grant_type": "authorization_code",
                    "authorize_url": vault.authorize_link(base, whose)?,
                    "revoke_url": vault.revoke_link(base, whose)?,
                }),
            );
        }
        // SDKs take no null where the contract has none.
        card.retain(|name, value| !value.is_null() || matches!(name.as_str(), "updated_at"));
        Ok(Value::Object(card))
    }

    /// The connection in short, as a consumer's record has it.
    pub fn short(&self, consumer: &ConsumerId) -> Value {
        let mut card = self.head();
        extend(
            &mut card,
            json!({
                "consumer_id": consumer.as_str(),
                "settings": self.stored.map_or_else(Map::new, settings),
                "metadata": self.stored.map_or_else(Map::new, |stored| stored.metadata.clone()),
                "created_at": self.stored.map(|stored| time(stored.created_ms)),
                "updated_at": self.stored.map(|stored| time(stored.updated_ms)),
            }),
        );
        card.retain(|_, value| !value.is_null());
        Value::Object(card)
    }

    fn head(&self) -> Map<String, Value> {
        let manifest = &self.service.connector.manifest;
        let head = json!({
            "id": format!("{UNIFIED_API}+{}", self.id),
            "service_id": self.id.as_str(),
            "name": manifest.name,
            "tag_line": manifest.description,
            "unified_api": UNIFIED_API,
            "website": manifest.website,
            "auth_type": if self.service.oauth.is_some() { "oauth2" } else { "apiKey" },
            "state": state_name(self.state()),
            "enabled": self.stored.is_some_and(|stored| stored.connection.enabled),
            "health": self.health(),
        });
        match head {
            Value::Object(head) => head,
            _ => Map::new(),
        }
    }

    fn state(&self) -> ConnectionState {
        self.stored.map_or(ConnectionState::Available, |stored| stored.connection.state)
    }

    fn integration_state(&self) -> &'static str {
        let needs_client =
            self.service.oauth.is_some() && self.service.connector.manifest.auth.secrets.is_empty();
        match self.integration {
            None => "disabled",
            Some(integration) if !integration.enabled => "disabled",
            Some(integration) if needs_client && integration.client_id.is_none() => "needs_configuration",
            Some(_) => "configured",
        }
    }

    fn health(&self) -> &'static str {
        match self.state() {
            ConnectionState::Available | ConnectionState::Added => "needs_auth",
            ConnectionState::Invalid => "revoked",
            ConnectionState::Authorized => "missing_settings",
            ConnectionState::Callable if self.consent_state().bars() => "needs_consent",
            ConnectionState::Callable => "ok",
        }
    }

    fn consents(&self) -> &[Consent] {
        self.extras.map_or(&[], |extras| extras.consents.as_slice())
    }

    fn consent_state(&self) -> ConsentState {
        consent_state(self.scopes, self.consents())
    }

    fn configuration(&self) -> Vec<Value> {
        let defaults = self.extras.iter().flat_map(|extras| &extras.defaults);
        defaults.map(|(resource, defaults)| json!({ "resource": resource, "defaults": defaults })).collect()
    }
}

/// A consent as the wire has it.
pub fn consent(consent: &Consent) -> Value {
    json!({
        "id": consent.id,
        "created_at": time(consent.created_ms),
        "granted": consent.granted,
        "resources": consent.resources,
    })
}

fn settings(stored: &StoredConnection) -> Map<String, Value> {
    stored.connection.settings.iter().map(|(id, value)| (id.clone(), Value::from(value.as_str()))).collect()
}

fn extend(card: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        card.extend(more);
    }
}
