//! Resources, verbs, and the operations they make.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of record of the unified API.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Organisations.
    Companies,
    /// People.
    Contacts,
    /// Deals.
    Opportunities,
    /// Unqualified prospects.
    Leads,
    /// Sales pipelines with their stages.
    Pipelines,
    /// Free-text notes.
    Notes,
    /// Calls, meetings, tasks and the like.
    Activities,
    /// Users of the CRM, who own records.
    Users,
    /// Static or dynamic lists of records.
    Lists,
    /// The records on one list.
    ListMembers,
    /// Definitions of custom objects.
    CustomObjectSchemas,
    /// Records of one custom object.
    CustomObjects,
}

impl Resource {
    /// All resources, in the order of the contract.
    pub const ALL: [Resource; 12] = [
        Resource::Companies,
        Resource::Contacts,
        Resource::Opportunities,
        Resource::Leads,
        Resource::Pipelines,
        Resource::Lists,
        Resource::ListMembers,
        Resource::Notes,
        Resource::Users,
        Resource::Activities,
        Resource::CustomObjectSchemas,
        Resource::CustomObjects,
    ];

    /// The resource's name in paths, mapping files and replies, such as `contacts`.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Companies => "companies",
            Resource::Contacts => "contacts",
            Resource::Opportunities => "opportunities",
            Resource::Leads => "leads",
            Resource::Pipelines => "pipelines",
            Resource::Notes => "notes",
            Resource::Activities => "activities",
            Resource::Users => "users",
            Resource::Lists => "lists",
            Resource::ListMembers => "list-members",
            Resource::CustomObjectSchemas => "custom-object-schemas",
            Resource::CustomObjects => "custom-objects",
        }
    }

    /// The schema of one record in `openapi/crm.yaml`, such as `Contact`.
    pub const fn schema(self) -> &'static str {
        match self {
            Resource::Companies => "Company",
            Resource::Contacts => "Contact",
            Resource::Opportunities => "Opportunity",
            Resource::Leads => "Lead",
            Resource::Pipelines => "Pipeline",
            Resource::Notes => "Note",
            Resource::Activities => "Activity",
            Resource::Users => "User",
            Resource::Lists => "List",
            Resource::ListMembers => "ListMember",
            Resource::CustomObjectSchemas => "CustomObjectSchema",
            Resource::CustomObjects => "CustomObject",
        }
    }

    /// The resource with that name.
    pub fn from_name(name: &str) -> Option<Resource> {
        Resource::ALL.into_iter().find(|resource| resource.name() == name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Reads a page of records.
    List,
    /// Reads one record.
    One,
    /// Creates a record.
    Create,
    /// Changes what the body names.
    Update,
    /// Deletes a record.
    Delete,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 5] = [Verb::List, Verb::One, Verb::Create, Verb::Update, Verb::Delete];

    /// The verb's name in manifests and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Verb::List => "list",
            Verb::One => "one",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Delete => "delete",
        }
    }

    /// The verb's name in the reply's `operation`: `all`, `one`, `add`, `update`, `delete`.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Verb::List => "all",
            Verb::One => "one",
            Verb::Create => "add",
            Verb::Update => "update",
            Verb::Delete => "delete",
        }
    }

    /// Whether the verb changes something in the CRM.
    pub const fn writes(self) -> bool {
        matches!(self, Verb::Create | Verb::Update | Verb::Delete)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A resource and what is done to it, such as `contacts.list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// The resource.
    pub resource: Resource,
    /// The verb.
    pub verb: Verb,
}

impl Operation {
    /// An operation.
    pub const fn new(resource: Resource, verb: Verb) -> Operation {
        Operation { resource, verb }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.resource, self.verb)
    }
}
