//! The entities of version 2: their members, what may be written, what lists can be filtered by.

use serde_json::{Map, Value, json};

/// What a writable member takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// `YYYY-MM-DD`.
    Date,
    /// `HH:MM` or `HH:MM:SS`.
    Clock,
    /// An instant.
    Stamp,
    /// E-mail addresses or telephone numbers: `[{value, primary, label}]`.
    Contacts,
    /// Whole numbers.
    Wholes,
    /// An address object.
    Address,
    /// A list of objects, kept as given.
    Objects,
    /// Custom fields by key.
    Custom,
    /// The id of a record of an entity.
    Ref(&'static str),
    /// The id of a user.
    User,
    /// One of these texts.
    Choice(&'static [&'static str]),
}

/// An entity.
#[derive(Debug)]
pub struct Entity {
    /// Plural name, as in paths.
    pub name: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// The member that names a record.
    pub title: &'static str,
    /// Writable members.
    pub writes: &'static [(&'static str, Takes)],
    /// Members that a new record must have.
    pub required: &'static [&'static str],
    /// Query parameters that filter by the member of the same name.
    pub filters: &'static [&'static str],
    /// Members that lists can be sorted by.
    pub sorts: &'static [&'static str],
    /// Members that a search looks at, by their names in `fields`.
    pub searches: &'static [&'static str],
    /// Whether records have custom fields.
    pub custom: bool,
    /// The first id handed out.
    pub first_id: u64,
    /// Built-in field lines, see `field::seeded`.
    pub lines: &'static str,
}

const TIMES: &[&str] = &["id", "update_time", "add_time"];

/// The entities.
pub const ENTITIES: &[Entity] = &[
    Entity {
        name: "persons",
        singular: "person",
        title: "name",
        writes: &[
            ("name", Takes::Text),
            ("owner_id", Takes::User),
            ("org_id", Takes::Ref("organizations")),
            ("add_time", Takes::Stamp),
            ("update_time", Takes::Stamp),
            ("emails", Takes::Contacts),
            ("phones", Takes::Contacts),
            ("visible_to", Takes::Whole),
            ("label_ids", Takes::Wholes),
            ("marketing_status", Takes::Choice(&["no_consent", "unsubscribed", "subscribed", "archived"])),
            ("custom_fields", Takes::Custom),
        ],
        required: &["name"],
        filters: &["owner_id", "org_id"],
        sorts: TIMES,
        searches: &["name", "email", "phone", "notes", "custom_fields"],
        custom: true,
        first_id: 2_147_483_701,
        lines: "
name | Name | varchar
first_name | First name | varchar
last_name | Last name | varchar
phone | Phone | phone
email | Email | varchar
owner_id | Owner | user
org_id | Organization | org
label_ids | Labels | set
add_time | Person created | date
update_time | Update time | date
visible_to | Visible to | visible_to
job_title | Job title | varchar
birthday | Birthday | date
notes | Notes | text
postal_address | Postal address | address
im | Instant messenger | varchar",
    },
    Entity {
        name: "organizations",
        singular: "organization",
        title: "name",
        writes: &[
            ("name", Takes::Text),
            ("owner_id", Takes::User),
            ("add_time", Takes::Stamp),
            ("update_time", Takes::Stamp),
            ("visible_to", Takes::Whole),
            ("label_ids", Takes::Wholes),
            ("address", Takes::Address),
            ("custom_fields", Takes::Custom),
        ],
        required: &["name"],
        filters: &["owner_id"],
        sorts: TIMES,
        searches: &["name", "address", "notes", "custom_fields"],
        custom: true,
        first_id: 2_147_483_701,
        lines: "
name | Name | varchar
owner_id | Owner | user
label_ids | Labels | set
address | Address | address
add_time | Organization created | date
update_time | Update time | date
visible_to | Visible to | visible_to
website | Website | varchar
linkedin | LinkedIn profile | varchar
industry | Industry | enum
annual_revenue | Annual revenue | double
employee_count | Number of employees | double",
    },
    Entity {
        name: "deals",
        singular: "deal",
        title: "title",
        writes: &[
            ("title", Takes::Text),
            ("owner_id", Takes::User),
            ("person_id", Takes::Ref("persons")),
            ("org_id", Takes::Ref("organizations")),
            ("pipeline_id", Takes::Ref("pipelines")),
            ("stage_id", Takes::Ref("stages")),
            ("value", Takes::Number),
            ("currency", Takes::Text),
            ("is_deleted", Takes::Flag),
            ("is_archived", Takes::Flag),
            ("archive_time", Takes::Stamp),
            ("status", Takes::Choice(&["open", "won", "lost", "deleted"])),
            ("probability", Takes::Number),
            ("lost_reason", Takes::Text),
            ("visible_to", Takes::Whole),
            ("add_time", Takes::Stamp),
            ("update_time", Takes::Stamp),
            ("stage_change_time", Takes::Stamp),
            ("close_time", Takes::Stamp),
            ("won_time", Takes::Stamp),
            ("lost_time", Takes::Stamp),
            ("expected_close_date", Takes::Date),
            ("label_ids", Takes::Wholes),
            ("origin_id", Takes::Text),
            ("channel", Takes::Whole),
            ("channel_id", Takes::Text),
            ("custom_fields", Takes::Custom),
        ],
        required: &["title"],
        filters: &["owner_id", "person_id", "org_id", "pipeline_id", "stage_id"],
        sorts: TIMES,
        searches: &["title", "notes", "custom_fields"],
        custom: true,
        first_id: 2_147_483_701,
        lines: "
title | Title | varchar
value | Value | monetary
currency | Currency | varchar
status | Status | status
stage_id | Stage | stage
pipeline_id | Pipeline | double
owner_id | Owner | user
person_id | Contact person | people
org_id | Organization | org
probability | Probability | double
expected_close_date | Expected close date | date
lost_reason | Lost reason | varchar_options
label_ids | Label | set
add_time | Deal created | date
update_time | Update time | date
won_time | Won time | date
lost_time | Lost time | date
close_time | Deal closed on | date
visible_to | Visible to | visible_to
origin | Source origin | varchar
channel | Source channel | enum",
    },
    Entity {
        name: "activities",
        singular: "activity",
        title: "subject",
        writes: &[
            ("subject", Takes::Text),
            ("type", Takes::Text),
            ("owner_id", Takes::User),
            ("deal_id", Takes::Ref("deals")),
            ("lead_id", Takes::Text),
            ("person_id", Takes::Ref("persons")),
            ("org_id", Takes::Ref("organizations")),
            ("project_id", Takes::Whole),
            ("due_date", Takes::Date),
            ("due_time", Takes::Clock),
            ("duration", Takes::Clock),
            ("busy", Takes::Flag),
            ("done", Takes::Flag),
            ("location", Takes::Address),
            ("participants", Takes::Objects),
            ("attendees", Takes::Objects),
            ("public_description", Takes::Text),
            ("priority", Takes::Whole),
            ("note", Takes::Text),
        ],
        required: &[],
        filters: &["owner_id", "deal_id", "lead_id", "person_id", "org_id"],
        sorts: &["id", "update_time", "add_time", "due_date"],
        searches: &[],
        custom: false,
        first_id: 501,
        lines: "
subject | Subject | varchar
type | Type | varchar
owner_id | Assigned to user | user
deal_id | Deal | deal
person_id | Contact person | people
org_id | Organization | org
due_date | Due date | date
due_time | Due time | time
duration | Duration | time
done | Done | boolean
busy | Free/busy | enum
note | Note | text
location | Location | address
public_description | Public description | text
priority | Priority | enum",
    },
    Entity {
        name: "products",
        singular: "product",
        title: "name",
        writes: &[
            ("name", Takes::Text),
            ("code", Takes::Text),
            ("description", Takes::Text),
            ("unit", Takes::Text),
            ("tax", Takes::Number),
            ("category", Takes::Whole),
            ("owner_id", Takes::User),
            ("is_linkable", Takes::Flag),
            ("visible_to", Takes::Whole),
            ("prices", Takes::Objects),
            ("billing_frequency", Takes::Text),
            ("billing_frequency_cycles", Takes::Whole),
            ("custom_fields", Takes::Custom),
        ],
        required: &["name"],
        filters: &["owner_id"],
        sorts: &["id", "update_time", "add_time", "name"],
        searches: &["name", "code", "custom_fields"],
        custom: true,
        first_id: 71,
        lines: "
name | Name | varchar
code | Product code | varchar
description | Description | text
unit | Unit | varchar
tax | Tax | double
category | Category | enum
owner_id | Owner | user",
    },
    Entity {
        name: "pipelines",
        singular: "pipeline",
        title: "name",
        writes: &[("name", Takes::Text), ("is_deal_probability_enabled", Takes::Flag)],
        required: &["name"],
        filters: &[],
        sorts: TIMES,
        searches: &[],
        custom: false,
        first_id: 1,
        lines: "",
    },
    Entity {
        name: "stages",
        singular: "stage",
        title: "name",
        writes: &[
            ("name", Takes::Text),
            ("pipeline_id", Takes::Ref("pipelines")),
            ("deal_probability", Takes::Whole),
            ("is_deal_rot_enabled", Takes::Flag),
            ("days_to_rotten", Takes::Whole),
        ],
        required: &["name", "pipeline_id"],
        filters: &["pipeline_id"],
        sorts: &["id", "update_time", "add_time", "order_nr"],
        searches: &[],
        custom: false,
        first_id: 1,
        lines: "",
    },
];

/// What replies hold only where `include_fields` asks for it.
const INCLUDED: &[&str] = &[
    "next_activity_id",
    "last_activity_id",
    "activities_count",
    "done_activities_count",
    "undone_activities_count",
    "email_messages_count",
    "files_count",
    "notes_count",
    "followers_count",
    "smart_bcc_email",
];
/// The same, of one entity only.
const INCLUDED_IN: &[(&str, &[&str])] = &[
    (
        "deals",
        &[
            "source_lead_id",
            "first_won_time",
            "products_count",
            "participants_count",
            "last_incoming_mail_time",
            "last_outgoing_mail_time",
        ],
    ),
    (
        "persons",
        &[
            "open_deals_count",
            "closed_deals_count",
            "won_deals_count",
            "lost_deals_count",
            "marketing_status",
            "doi_status",
        ],
    ),
    (
        "organizations",
        &["open_deals_count", "closed_deals_count", "won_deals_count", "lost_deals_count", "people_count"],
    ),
];

/// The entity of a plural name.
pub fn of(name: &str) -> Option<&'static Entity> {
    ENTITIES.iter().find(|entity| entity.name == name)
}

impl Entity {
    /// Whether `include_fields` may name that.
    pub fn includes(&self, name: &str) -> bool {
        match self.name {
            "activities" => name == "attendees",
            "persons" | "organizations" | "deals" => {
                let own = INCLUDED_IN.iter().find(|(entity, _)| *entity == self.name);
                INCLUDED.contains(&name) || own.is_some_and(|(_, names)| names.contains(&name))
            }
            _ => false,
        }
    }

    /// A record with every member, in the order of the wire.
    pub fn template(&self, user: u64) -> Map<String, Value> {
        let body = match self.name {
            "persons" => json!({
                "id": 0, "name": "", "first_name": null, "last_name": null, "owner_id": user, "org_id": null,
                "add_time": "", "update_time": "", "emails": [], "phones": [], "is_deleted": false, "visible_to": 3,
                "label_ids": [], "picture_id": null, "postal_address": null, "notes": null, "im": [],
                "birthday": null, "job_title": null, "custom_fields": {},
            }),
            "organizations" => json!({
                "id": 0, "name": "", "owner_id": user, "add_time": "", "update_time": "", "address": null,
                "is_deleted": false, "visible_to": 3, "label_ids": [], "website": null, "linkedin": null,
                "industry": null, "annual_revenue": null, "employee_count": null, "custom_fields": {},
            }),
            "deals" => json!({
                "id": 0, "title": "", "creator_user_id": user, "owner_id": user, "value": 0, "person_id": null,
                "org_id": null, "stage_id": 1, "pipeline_id": 1, "currency": "USD", "archive_time": null,
                "add_time": "", "update_time": "", "stage_change_time": null, "status": "open",
                "is_archived": false, "is_deleted": false, "probability": null, "lost_reason": null,
                "visible_to": 3, "close_time": null, "won_time": null, "lost_time": null, "local_won_date": null,
                "local_lost_date": null, "local_close_date": null, "expected_close_date": null, "label_ids": [],
                "origin": "API", "origin_id": null, "channel": null, "channel_id": null, "acv": null, "arr": null,
                "mrr": null, "custom_fields": {},
            }),
            "activities" => json!({
                "id": 0, "subject": "", "type": "call", "owner_id": user, "creator_user_id": user,
                "is_deleted": false, "add_time": "", "update_time": "", "deal_id": null, "lead_id": null,
                "person_id": null, "org_id": null, "project_id": null, "due_date": null, "due_time": null,
                "duration": null, "busy": false, "done": false, "marked_as_done_time": null, "location": null,
                "participants": [], "conference_meeting_client": null, "conference_meeting_url": null,
                "conference_meeting_id": null, "public_description": null, "priority": null, "note": null,
            }),
            "products" => json!({
                "id": 0, "name": "", "code": null, "description": null, "unit": null, "tax": 0, "category": null,
                "is_linkable": true, "is_deleted": false, "visible_to": 3, "owner_id": user, "add_time": "",
                "update_time": "", "billing_frequency": "one-time", "billing_frequency_cycles": null,
                "prices": [], "custom_fields": {},
            }),
            "pipelines" => json!({
                "id": 0, "name": "", "order_nr": 0, "is_deleted": false, "is_deal_probability_enabled": false,
                "add_time": "", "update_time": null,
            }),
            _ => json!({
                "id": 0, "order_nr": 0, "name": "", "is_deleted": false, "deal_probability": 100,
                "pipeline_id": 0, "is_deal_rot_enabled": false, "days_to_rotten": null, "add_time": "",
                "update_time": null,
            }),
        };
        match body {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}
