//! The tables: their columns, which of them can be written, their rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A table that egress reads.
#[derive(Debug)]
pub struct Schema {
    /// Its name in paths.
    pub name: &'static str,
    /// The column of its id.
    pub id: &'static str,
    /// Its columns, in their order.
    pub columns: &'static [&'static str],
    /// Columns that ingress takes.
    pub writes: &'static [&'static str],
    /// Columns that only come when they are asked for by name.
    pub hidden: &'static [&'static str],
}

/// The tables.
pub const SCHEMAS: &[Schema] = &[
    Schema {
        name: "leads",
        id: "lead_id",
        columns: &[
            "lead_id",
            "first_name",
            "last_name",
            "email",
            "phone",
            "phone2",
            "address",
            "address2",
            "city",
            "state",
            "zipcode",
            "county",
            "date_of_birth",
            "gender",
            "language",
            "status_id",
            "status_name",
            "vendor_id",
            "vendor_name",
            "agent_id",
            "agent_name",
            "fronter_id",
            "owner_id",
            "owner_name",
            "cost",
            "billable",
            "dnc",
            "trashed",
            "policies_sold",
            "tracking_id",
            "notes",
            "date_created",
            "date_modified",
            "date_converted",
        ],
        writes: &[
            "first_name",
            "last_name",
            "email",
            "phone",
            "phone2",
            "address",
            "address2",
            "city",
            "state",
            "zipcode",
            "county",
            "date_of_birth",
            "gender",
            "language",
            "status_id",
            "vendor_id",
            "agent_id",
            "owner_id",
            "cost",
            "billable",
            "dnc",
            "tracking_id",
            "notes",
        ],
        hidden: &[],
    },
    Schema {
        name: "policies",
        id: "policy_id",
        columns: &[
            "policy_id",
            "lead_id",
            "lead_first_name",
            "lead_last_name",
            "lead_state",
            "lead_zipcode",
            "lead_vendor_id",
            "lead_vendor_name",
            "agent_id",
            "agent_name",
            "status_id",
            "status_name",
            "status_description",
            "carrier_name",
            "product_name",
            "plan_type",
            "premium",
            "duration",
            "policy_number",
            "application_number",
            "date_created",
            "date_modified",
            "date_sold",
            "date_effective",
            "date_cancelled",
        ],
        writes: &[],
        hidden: &[],
    },
    Schema {
        name: "users",
        id: "user_id",
        columns: &[
            "user_id",
            "username",
            "full_name",
            "first_name",
            "last_name",
            "email",
            "npn",
            "status_id",
            "date_activated",
            "date_deactivated",
            "vicidial_user",
            "password",
            "home_address",
        ],
        writes: &[],
        hidden: &[],
    },
    Schema {
        name: "vendors",
        id: "vendor_id",
        columns: &["vendor_id", "name"],
        writes: &[],
        hidden: &["vendor_id"],
    },
    Schema {
        name: "lead_notes",
        id: "note_id",
        columns: &["note_id", "lead_id", "user_id", "note", "date_created"],
        writes: &[],
        hidden: &[],
    },
    Schema {
        name: "tldialer/call_log",
        id: "call_id",
        columns: &[
            "call_id",
            "lead_id",
            "user_id",
            "phone_number",
            "call_date",
            "length_in_sec",
            "status",
            "status_name",
            "comments",
        ],
        writes: &[],
        hidden: &[],
    },
    Schema {
        name: "tags",
        id: "tag_id",
        columns: &["tag_id", "name", "date_created"],
        writes: &[],
        hidden: &[],
    },
];

/// The table of a name.
pub fn of(name: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.name == name)
}

/// A table's rows by id.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The rows: members as on the wire.
    pub rows: BTreeMap<u64, Map<String, Value>>,
    next_id: u64,
}

impl Table {
    /// A table that hands out ids from there.
    pub fn new(first_id: u64) -> Table {
        Table { rows: BTreeMap::new(), next_id: first_id }
    }

    /// Adds a row; answers its id.
    pub fn add(&mut self, id_column: &str, mut row: Map<String, Value>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        row.insert(id_column.to_owned(), id.into());
        self.rows.insert(id, row);
        id
    }
}
