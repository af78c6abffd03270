//! The mapping language: one rule per field, both directions.
//!
//! In: a mapping file, a CRM's reply or a unified body. Out: unified JSON or the CRM's body, and every problem with its place.
//! Never: sockets, clock, randomness, files, environment, logging.
//!
//! In reading order: [`document`] YAML with positions · [`schema`] the unified side's shape · `path`, `codec`, `expression` the
//! language's words · `rule`, `compile` a file turned into rules · `scan`, `plan` JSON read once, slots filled · `emit`,
//! [`read`](mod@read) the read side · [`explain`] where its fields came from · `narrow` fewer fields · `custom` fields,
//! [`finder`] custom mappings · [`write`](mod@write) the write side · [`laws`] what must hold for every mapping.
//! The language itself is described in `mappings/README.md`.

pub mod document;
pub mod explain;
pub mod fault;
pub mod laws;
pub mod read;
pub mod schema;
pub mod write;

mod codec;
mod compile;
mod custom;
mod emit;
mod expression;
pub mod finder;
mod narrow;
mod path;
mod plan;
mod rule;
mod scan;
#[cfg(test)]
mod tests;

pub use codec::Codec;
pub use compile::SCHEMA;
pub use document::Document;
pub use fault::Fault;
pub use finder::{CustomMappings, Finder};
pub use narrow::narrow;
pub use path::{Path, Step};
pub use read::{Captured, Extras, Frame, Plucking, Records, Rows, Span, pluck, read_page};
pub use rule::{Mapping, RuleInfo};
pub use scan::Malformed;
pub use schema::{UnifiedField, UnifiedSchema, UnifiedType};
pub use write::{Link, WriteMode, Written, write};

use crate::model::{FieldDefinitions, FieldMask};

/// What reading a page needs beside the reply.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The fields that are wanted; none is all.
    pub fields: Option<&'a FieldMask>,
    /// What the CRM says about its fields; without it every left-over key is a custom field.
    pub definitions: Option<&'a FieldDefinitions>,
    /// The ISO 4217 code of amounts whose record names none.
    pub currency: Option<&'a str>,
    /// The IANA time zone of times without one.
    pub timezone: Option<&'a str>,
    /// More about the records, by id.
    pub extras: Option<&'a Extras>,
    /// The connection's own fields, where it has some.
    pub custom_mappings: Option<&'a CustomMappings>,
    /// Elements to pass over.
    pub skip: usize,
    /// Elements to map at most behind those; the rest is only counted.
    pub take: usize,
}

impl Default for Reading<'_> {
    fn default() -> Self {
        Reading {
            fields: None,
            definitions: None,
            currency: None,
            timezone: None,
            extras: None,
            custom_mappings: None,
            skip: 0,
            take: usize::MAX,
        }
    }
}

/// What writing a body needs beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Writing<'a> {
    /// What the CRM says about its fields: custom fields can then be named and are checked.
    pub definitions: Option<&'a FieldDefinitions>,
    /// The connection's own fields, where it has some.
    pub custom_mappings: Option<&'a CustomMappings>,
    /// The ISO 4217 code of amounts where the body names none: the record's own if it is known, else the connection's.
    pub currency: Option<&'a str>,
    /// The IANA time zone of times that the CRM wants without one.
    pub timezone: Option<&'a str>,
    /// What the record holds now, of the fields that [`Written::needs`] named.
    pub present: Option<&'a serde_json::Map<String, serde_json::Value>>,
    /// The time of the call, for what a mapping's `defaults` give a new record; without it they give nothing.
    pub now: Option<jiff::Timestamp>,
}
