//! An application's own settings for a connector: its OAuth client and scopes.

use sqlx::Row;

use super::{Error, Place, Store, Topic, now_ms, usable_id};
use crate::model::{AppId, Secret, ServiceId};

/// What an application has set for a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Which connector.
    pub service: ServiceId,
    /// Whether the application has switched it on.
    pub enabled: bool,
    /// The application's OAuth client at the CRM.
    pub client_id: Option<String>,
    /// That client's secret.
    pub client_secret: Option<Secret>,
    /// Scopes to ask for instead of the connector's own.
    pub scopes: Vec<String>,
}

/// An integration to be stored: what is none is left as it was.
#[derive(Debug, Clone, Default)]
pub struct NewIntegration {
    /// Whether it is switched on.
    pub enabled: bool,
    /// The OAuth client.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// The scopes.
    pub scopes: Option<Vec<String>>,
}

fn place<'a>(app: &'a AppId, service: &'a ServiceId) -> Place<'a> {
    Place { purpose: "client secret", app: app.as_str(), owner: service.as_str() }
}

impl Store {
    /// Creates or changes an integration. Connections that ended because the CRM refused the OAuth client get another try.
    /// Errors: no such application.
    pub async fn set_integration(
        &self,
        app: &AppId,
        service: &ServiceId,
        new: NewIntegration,
    ) -> Result<(), Error> {
        usable_id("service", service.as_str())?;
        let key = self.application_key(app).await?;
        let sealed = match &new.client_secret {
            Some(secret) => Some(key.seal(&place(app, service), secret.expose().as_bytes())?),
            None => None,
        };
        let scopes = new.scopes.as_ref().map(serde_json::to_string).transpose()?;
        let _changes = self.changes(Topic::Integrations(app.as_str()));
        let mut tx = self.db().write().await?;
        sqlx::query(
            "INSERT INTO integrations (app_id, service, enabled, client_id, client_secret, scopes, created_ms, updated_ms) \
             VALUES ($1, $2, $3, $4, $5, coalesce($6, '[]'), $7, $7) \
             ON CONFLICT (app_id, service) DO UPDATE SET enabled = $3, client_id = coalesce($4, client_id), \
             client_secret = coalesce($5, client_secret), scopes = coalesce($6, scopes), updated_ms = $7",
        )
        .bind(app.as_str())
        .bind(service.as_str())
        .bind(new.enabled)
        .bind(&new.client_id)
        .bind(sealed)
        .bind(scopes)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        if new.client_id.is_some() || new.client_secret.is_some() {
            sqlx::query(
                "UPDATE connections SET state = 'callable', reason_code = NULL, reason = NULL, updated_ms = $3 \
                 WHERE app_id = $1 AND service = $2 AND state = 'invalid' \
                 AND reason_code IN ('invalid_client', 'unauthorized_client')",
            )
            .bind(app.as_str())
            .bind(service.as_str())
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// An application's integrations, by service id, secrets opened. None of an unknown application.
    pub async fn integrations(&self, app: &AppId) -> Result<Vec<Integration>, Error> {
        let rows = sqlx::query(
            "SELECT service, enabled, client_id, client_secret, scopes FROM integrations WHERE app_id = $1 ORDER BY service",
        )
        .bind(app.as_str())
        .fetch_all(self.db().read())
        .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.application_key(app).await?;
        rows.iter()
            .map(|row| {
                let service = ServiceId::new(row.try_get::<&str, _>("service")?);
                let client_secret = match row.try_get::<Option<&[u8]>, _>("client_secret")? {
                    Some(sealed) => {
                        let opened = key.open(&place(app, &service), sealed)?;
                        let text = std::str::from_utf8(&opened)
                            .map_err(|_| Error::Sealed("a client secret is not text"))?;
                        Some(Secret::new(text))
                    }
                    None => None,
                };
                Ok(Integration {
                    enabled: row.try_get("enabled")?,
                    client_id: row.try_get("client_id")?,
                    client_secret,
                    scopes: serde_json::from_str(row.try_get("scopes")?)?,
                    service,
                })
            })
            .collect()
    }
}
