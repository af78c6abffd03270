//! Mapping faults: located, collected, never thrown.

use serde::Serialize;

/// What becomes of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The answer stands; the caller is told.
    Warning,
    /// The record (on a read) or the call (on a write) cannot be served.
    Fault,
}

/// One thing that went wrong with one field of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What becomes of it.
    pub severity: Severity,
    /// The record's id where it has one.
    pub record: Option<String>,
    /// JSON pointer to the unified field, such as `/emails/0/email`; empty for the record itself.
    pub pointer: String,
    /// The downstream path concerned, such as `properties.amount`.
    pub path: String,
    /// One sentence without personal data beyond the value's kind.
    pub message: String,
}
