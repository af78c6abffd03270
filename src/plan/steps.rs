//! The steps of a write beside its record: how each is named, what callers hand through to it, what is told of it.

use serde_json::{Value, json};

use super::{Ground, pass_through};
use crate::connector::request::RequestTemplate;
use crate::connector::template::Names;
use crate::error::{Error, Kind, Result};
use crate::model::{Call, Request, Warning};

/// What the steps of one write have in common.
#[derive(Debug, Default)]
pub struct Steps {
    /// What is handed through, and whether a step has taken it.
    extensions: Vec<(Value, bool)>,
    /// Whether the CRM has changed anything.
    pub written: bool,
    /// What went wrong without spoiling the answer.
    pub warnings: Vec<Warning>,
}

impl Steps {
    /// The steps of a write with what its body hands through.
    pub fn new(extensions: Vec<Value>) -> Steps {
        Steps { extensions: extensions.into_iter().map(|entry| (entry, false)).collect(), ..Steps::default() }
    }

    /// The request of a step, with what is handed through to its `operation_id`.
    ///
    /// # Errors
    /// If a placeholder of its path has no value, or what is handed through leads nowhere.
    pub fn request(
        &mut self,
        ground: &Ground,
        template: &RequestTemplate,
        names: &dyn Names,
    ) -> Result<Request> {
        let mut request = ground.request(template, names)?;
        let step = template.step().to_string();
        let entries = self.take(|operation| operation == Some(&step));
        extend(&mut request, &entries)?;
        Ok(request)
    }

    /// The record's own request, with what is handed through to it: its step, the operation's name, or no name.
    ///
    /// # Errors
    /// If what is handed through leads nowhere.
    pub fn extend_record(&mut self, call: &Call, request: &mut Request) -> Result<()> {
        let step = request.step.to_string();
        let (id, name) = (pass_through::operation_id(call), call.operation.to_string());
        let entries =
            self.take(|operation| operation.is_none_or(|operation| [&step, &id, &name].contains(&operation)));
        extend(request, &entries)
    }

    /// Whether anything is handed through to the record's own request.
    pub fn extends_record(&self, call: &Call, step: &str) -> bool {
        let (id, name) = (pass_through::operation_id(call), call.operation.to_string());
        let operation = |entry: &Value| entry.get("operation_id").and_then(Value::as_str).map(str::to_owned);
        self.extensions.iter().any(|(entry, _)| {
            operation(entry).is_none_or(|operation| [step, &id, &name].contains(&operation.as_str()))
        })
    }

    fn take(&mut self, fits: impl Fn(Option<&String>) -> bool) -> Vec<Value> {
        let mut taken = Vec::new();
        for (entry, used) in &mut self.extensions {
            let operation = entry.get("operation_id").and_then(Value::as_str).map(str::to_owned);
            if fits(operation.as_ref()) {
                *used = true;
                taken.push(entry.clone());
            }
        }
        taken
    }

    /// Tells of an optional step that failed.
    pub fn warn(&mut self, template: &RequestTemplate, error: &Error, what: &str) {
        self.warnings.push(Warning {
            status_code: Some(error.http_status().as_u16()),
            error: Some(error.to_string()),
            ..Warning::new("StepWarning", format!("An optional step failed: {what}."))
                .operation(template.step().to_string())
        });
    }

    /// All warnings; what was handed through to a step that never came is one.
    pub fn into_warnings(mut self) -> Vec<Warning> {
        for (entry, _) in self.extensions.iter().filter(|(_, used)| !used) {
            let operation = entry.get("operation_id").and_then(Value::as_str).unwrap_or_default();
            // One body may serve several operations: what is meant for another is no mistake.
            if pass_through::is_operation(operation) {
                continue;
            }
            let message =
                format!("`pass_through` for `{operation}` was not sent: this call had no such step");
            self.warnings.push(Warning::new("PassThroughWarning", message).operation(operation));
        }
        self.warnings
    }
}

fn extend(request: &mut Request, extensions: &[Value]) -> Result<()> {
    if extensions.is_empty() {
        return Ok(());
    }
    let mut body = match &request.body {
        Some(body) => serde_json::from_slice(body).map_err(|_| {
            Error::new(Kind::RequestValidationError, "This connector takes no `pass_through` in bodies.")
        })?,
        None => Value::Null,
    };
    pass_through::extend(&mut body, extensions).map_err(|faults| {
        let errors: Vec<Value> =
            faults.iter().map(|fault| json!({ "pointer": "/pass_through", "message": fault })).collect();
        Error::new(Kind::RequestValidationError, "A path of `pass_through` leads nowhere.").detail(errors)
    })?;
    if request.body.is_none() {
        let json = (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        request.headers.push(json);
    }
    // A `Value` always serialises.
    request.body = Some(serde_json::to_vec(&body).unwrap_or_default().into());
    Ok(())
}
