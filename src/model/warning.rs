//! What went wrong without spoiling the answer: `meta.warnings`.

use serde::Serialize;

/// One entry of `meta.warnings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What kind of warning, such as `MappingWarning`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One sentence.
    pub message: String,
    /// Status of the CRM call concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// The CRM's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The step concerned, such as `contacts.companies`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The id of the record concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// JSON pointer of the unified field concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The downstream path concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downstream_path: Option<String>,
}

impl Warning {
    /// A warning with a sentence.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Warning {
        Warning {
            kind,
            message: message.into(),
            status_code: None,
            error: None,
            operation: None,
            record_id: None,
            pointer: None,
            downstream_path: None,
        }
    }

    /// Names the step concerned.
    pub fn operation(mut self, operation: impl Into<String>) -> Warning {
        self.operation = Some(operation.into());
        self
    }
}

impl From<super::Problem> for Warning {
    fn from(problem: super::Problem) -> Warning {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Warning {
            record_id: problem.record,
            pointer: some(problem.pointer),
            downstream_path: some(problem.path),
            ..Warning::new("MappingWarning", problem.message)
        }
    }
}
