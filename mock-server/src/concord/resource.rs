//! The resources: what may be written, what is required, what a search looks at.

/// What a writable member takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Text, at most 191 characters.
    Text,
    /// Text of any length.
    Long,
    /// An e-mail address.
    Email,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// `YYYY-MM-DD`, or an instant whose day counts.
    Date,
    /// `YYYY-MM-DD HH:MM:SS` in UTC, or any ISO 8601.
    Stamp,
    /// `HH:MM` or `HH:MM:SS`.
    Clock,
    /// The id of a record of a table.
    Ref(&'static str),
    /// Telephone numbers: `[{number, type}]`.
    Phones,
    /// Tags by name.
    Tags,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Records that it is linked to: their ids.
    Links(&'static str),
    /// The stages of a pipeline: `[{id?, name, win_probability, display_order}]`.
    Stages,
    /// Who is invited: `{users: [id], contacts: [id]}`.
    Guests,
    /// The time zone of a user.
    Zone,
}

/// A resource.
#[derive(Debug)]
pub struct Resource {
    /// Plural name, as in paths.
    pub name: &'static str,
    /// The class that errors name.
    pub model: &'static str,
    /// The member that names a record.
    pub title: &'static str,
    /// Writable members.
    pub writes: &'static [(&'static str, Takes)],
    /// Members that a new record must have.
    pub required: &'static [&'static str],
    /// Members that `q` looks into, with the comparison: `like` or `=`.
    pub searches: &'static [(&'static str, &'static str)],
    /// Resources whose records it can be linked with.
    pub links: &'static [&'static str],
    /// Whether records have custom fields.
    pub custom: bool,
    /// Whether deleted records go to the trash.
    pub trash: bool,
    /// Whether lists take `per_page`.
    pub per_page: bool,
}

const ADDRESS: [(&str, Takes); 5] = [
    ("street", Takes::Text),
    ("city", Takes::Text),
    ("state", Takes::Text),
    ("postal_code", Takes::Text),
    ("country_id", Takes::Ref("countries")),
];

const NONE: Resource = Resource {
    name: "",
    model: "",
    title: "name",
    writes: &[],
    required: &[],
    searches: &[],
    links: &[],
    custom: false,
    trash: false,
    per_page: true,
};

/// The resources.
pub const RESOURCES: &[Resource] = &[
    Resource {
        name: "contacts",
        model: "Modules\\Contacts\\Models\\Contact",
        title: "first_name",
        writes: &[
            ("first_name", Takes::Text),
            ("last_name", Takes::Text),
            ("email", Takes::Email),
            ("phones", Takes::Phones),
            ("user_id", Takes::Ref("users")),
            ("tags", Takes::Tags),
            ("source_id", Takes::Ref("sources")),
            ("job_title", Takes::Text),
            ADDRESS[0],
            ADDRESS[1],
            ADDRESS[2],
            ADDRESS[3],
            ADDRESS[4],
            ("companies", Takes::Links("companies")),
            ("deals", Takes::Links("deals")),
        ],
        required: &["first_name"],
        searches: &[
            ("first_name", "like"),
            ("last_name", "like"),
            ("email", "like"),
            ("full_name", "like"),
            ("phones.number", "="),
        ],
        links: &["companies", "deals", "activities", "notes", "calls"],
        custom: true,
        trash: true,
        ..NONE
    },
    Resource {
        name: "companies",
        model: "Modules\\Contacts\\Models\\Company",
        writes: &[
            ("name", Takes::Text),
            ("email", Takes::Email),
            ("domain", Takes::Text),
            ("phones", Takes::Phones),
            ("user_id", Takes::Ref("users")),
            ("tags", Takes::Tags),
            ("source_id", Takes::Ref("sources")),
            ("industry_id", Takes::Ref("industries")),
            ("parent_company_id", Takes::Ref("companies")),
            ADDRESS[0],
            ADDRESS[1],
            ADDRESS[2],
            ADDRESS[3],
            ADDRESS[4],
            ("contacts", Takes::Links("contacts")),
            ("deals", Takes::Links("deals")),
        ],
        required: &["name"],
        searches: &[("name", "like"), ("domain", "like"), ("email", "like"), ("phones.number", "=")],
        links: &["contacts", "deals", "activities", "notes", "calls"],
        custom: true,
        trash: true,
        ..NONE
    },
    Resource {
        name: "deals",
        model: "Modules\\Deals\\Models\\Deal",
        writes: &[
            ("name", Takes::Text),
            ("pipeline_id", Takes::Ref("pipelines")),
            ("stage_id", Takes::Ref("pipeline-stages")),
            ("amount", Takes::Number),
            ("expected_close_date", Takes::Date),
            ("user_id", Takes::Ref("users")),
            ("tags", Takes::Tags),
            ("status", Takes::Choice(&["open", "won", "lost"])),
            ("lost_reason", Takes::Text),
            ("contacts", Takes::Links("contacts")),
            ("companies", Takes::Links("companies")),
        ],
        required: &["name", "stage_id"],
        searches: &[("name", "like")],
        links: &["contacts", "companies", "activities", "notes", "calls"],
        custom: true,
        trash: true,
        ..NONE
    },
    Resource {
        name: "activities",
        model: "Modules\\Activities\\Models\\Activity",
        title: "title",
        writes: &[
            ("title", Takes::Text),
            ("activity_type_id", Takes::Ref("activity-types")),
            ("user_id", Takes::Ref("users")),
            ("due_date", Takes::Date),
            ("due_time", Takes::Clock),
            ("end_date", Takes::Date),
            ("end_time", Takes::Clock),
            ("reminder_minutes_before", Takes::Whole),
            ("note", Takes::Long),
            ("description", Takes::Long),
            ("guests", Takes::Guests),
            ("is_completed", Takes::Flag),
            ("contacts", Takes::Links("contacts")),
            ("companies", Takes::Links("companies")),
            ("deals", Takes::Links("deals")),
        ],
        required: &["title", "due_date", "end_date", "user_id"],
        searches: &[("title", "like")],
        links: &["contacts", "companies", "deals"],
        custom: true,
        trash: true,
        ..NONE
    },
    Resource {
        name: "notes",
        model: "Modules\\Notes\\Models\\Note",
        title: "body",
        writes: &[
            ("body", Takes::Long),
            ("via_resource", Takes::Choice(&["contacts", "companies", "deals"])),
            ("via_resource_id", Takes::Whole),
            ("task_date", Takes::Date),
            ("contacts", Takes::Links("contacts")),
            ("companies", Takes::Links("companies")),
            ("deals", Takes::Links("deals")),
        ],
        required: &["body", "via_resource", "via_resource_id"],
        searches: &[("body", "like")],
        links: &["contacts", "companies", "deals"],
        trash: true,
        per_page: false,
        ..NONE
    },
    Resource {
        name: "calls",
        model: "Modules\\Calls\\Models\\Call",
        title: "body",
        writes: &[
            ("body", Takes::Long),
            ("call_outcome_id", Takes::Ref("call-outcomes")),
            ("date", Takes::Stamp),
            ("via_resource", Takes::Choice(&["contacts", "companies", "deals"])),
            ("via_resource_id", Takes::Whole),
            ("task_date", Takes::Date),
            ("contacts", Takes::Links("contacts")),
            ("companies", Takes::Links("companies")),
            ("deals", Takes::Links("deals")),
        ],
        required: &["body", "date", "call_outcome_id", "via_resource", "via_resource_id"],
        searches: &[("body", "like")],
        links: &["contacts", "companies", "deals"],
        trash: true,
        per_page: false,
        ..NONE
    },
    Resource {
        name: "pipelines",
        model: "Modules\\Deals\\Models\\Pipeline",
        writes: &[("name", Takes::Text), ("stages", Takes::Stages)],
        required: &["name"],
        per_page: false,
        ..NONE
    },
    Resource {
        name: "pipeline-stages",
        model: "Modules\\Deals\\Models\\Stage",
        writes: &[
            ("name", Takes::Text),
            ("win_probability", Takes::Whole),
            ("pipeline_id", Takes::Ref("pipelines")),
            ("display_order", Takes::Whole),
        ],
        required: &["name", "win_probability", "pipeline_id"],
        per_page: false,
        ..NONE
    },
    Resource {
        name: "users",
        model: "Modules\\Users\\Models\\User",
        writes: &[
            ("name", Takes::Text),
            ("email", Takes::Email),
            ("password", Takes::Text),
            ("timezone", Takes::Zone),
            ("super_admin", Takes::Flag),
        ],
        required: &["name", "email", "password", "timezone"],
        searches: &[("name", "like"), ("email", "like")],
        per_page: false,
        ..NONE
    },
    Resource {
        name: "sources",
        model: "Modules\\Contacts\\Models\\Source",
        writes: NAMED,
        required: &["name"],
        ..NONE
    },
    Resource {
        name: "industries",
        model: "Modules\\Contacts\\Models\\Industry",
        writes: NAMED,
        required: &["name"],
        ..NONE
    },
    Resource {
        name: "activity-types",
        model: "Modules\\Activities\\Models\\ActivityType",
        writes: NAMED,
        required: &["name"],
        ..NONE
    },
    Resource {
        name: "call-outcomes",
        model: "Modules\\Calls\\Models\\CallOutcome",
        writes: NAMED,
        required: &["name"],
        ..NONE
    },
];

const NAMED: &[(&str, Takes)] = &[("name", Takes::Text)];

/// The resource of a plural name.
pub fn of(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.name == name)
}
