//! The objects and properties that every portal has, as lines; see `Property::from_line`.

/// A standard object.
#[derive(Debug)]
pub struct Object {
    /// Plural name, as in paths.
    pub name: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Object type id.
    pub type_id: &'static str,
    /// The first id handed out.
    pub first_id: u64,
    /// Properties answered when none are asked for, besides the system ones.
    pub defaults: &'static [&'static str],
    /// Properties that a new record must have.
    pub required: &'static [&'static str],
    /// Properties that a search for words looks at.
    pub searchable: &'static [&'static str],
    /// Name of the creation time.
    pub created: &'static str,
    /// Name of the modification time.
    pub modified: &'static str,
    /// The property lines.
    pub lines: &'static str,
}

const HS_CREATED: &str = "hs_createdate";
const HS_MODIFIED: &str = "hs_lastmodifieddate";

/// The standard objects. Contacts and companies share a range of ids, so that the same id can name one of each.
pub const OBJECTS: &[Object] = &[
    Object {
        name: "contacts",
        singular: "contact",
        type_id: "0-1",
        first_id: 2_147_483_701,
        defaults: &["firstname", "lastname", "email"],
        required: &[],
        searchable: &["firstname", "lastname", "email", "phone", "company"],
        created: "createdate",
        modified: "lastmodifieddate",
        lines: CONTACTS,
    },
    Object {
        name: "companies",
        singular: "company",
        type_id: "0-2",
        first_id: 2_147_483_701,
        defaults: &["name", "domain"],
        required: &[],
        searchable: &["name", "domain", "website", "phone"],
        created: "createdate",
        modified: HS_MODIFIED,
        lines: COMPANIES,
    },
    Object {
        name: "deals",
        singular: "deal",
        type_id: "0-3",
        first_id: 9_470_111_203,
        defaults: &["dealname", "amount", "closedate", "pipeline", "dealstage"],
        required: &[],
        searchable: &["dealname", "pipeline", "dealstage", "description", "dealtype"],
        created: "createdate",
        modified: HS_MODIFIED,
        lines: DEALS,
    },
    Object {
        name: "tickets",
        singular: "ticket",
        type_id: "0-5",
        first_id: 3_100_222_001,
        defaults: &[
            "subject",
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_category",
            "hs_ticket_priority",
        ],
        required: &["hs_pipeline_stage"],
        searchable: &["subject", "content"],
        created: "createdate",
        modified: HS_MODIFIED,
        lines: TICKETS,
    },
    Object {
        name: "leads",
        singular: "lead",
        type_id: "0-136",
        first_id: 390_010_000_017,
        defaults: &[],
        required: &["hs_lead_name"],
        searchable: &["hs_lead_name"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: LEADS,
    },
    Object {
        name: "notes",
        singular: "note",
        type_id: "0-46",
        first_id: 35_000_000_011,
        defaults: &[],
        required: &["hs_timestamp"],
        searchable: &["hs_note_body"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: NOTES,
    },
    Object {
        name: "tasks",
        singular: "task",
        type_id: "0-27",
        first_id: 36_000_000_011,
        defaults: &[],
        required: &["hs_timestamp"],
        searchable: &["hs_task_subject", "hs_task_body"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: TASKS,
    },
    Object {
        name: "calls",
        singular: "call",
        type_id: "0-48",
        first_id: 37_000_000_011,
        defaults: &[],
        required: &["hs_timestamp"],
        searchable: &["hs_call_title", "hs_call_body"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: CALLS,
    },
    Object {
        name: "meetings",
        singular: "meeting",
        type_id: "0-47",
        first_id: 38_000_000_011,
        defaults: &[],
        required: &["hs_timestamp"],
        searchable: &["hs_meeting_title", "hs_meeting_body"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: MEETINGS,
    },
    Object {
        name: "emails",
        singular: "email",
        type_id: "0-49",
        first_id: 39_000_000_011,
        defaults: &[],
        required: &["hs_timestamp", "hs_email_direction"],
        searchable: &["hs_email_subject", "hs_email_text"],
        created: HS_CREATED,
        modified: HS_MODIFIED,
        lines: EMAILS,
    },
];

/// Properties of every object.
pub const COMMON: &str = "
hs_object_id | Record ID | number number | | r
hs_createdate | Object create date/time | datetime date | | r
hs_lastmodifieddate | Object last modified date/time | datetime date | | r
hs_object_source | Record source | string text | | r
hs_object_source_label | Record source label | enumeration select | | r
hubspot_owner_id | Owner | enumeration select
hubspot_owner_assigneddate | Owner assigned date | datetime date | | r
hubspot_team_id | HubSpot team | enumeration select | | r
hs_all_owner_ids | All owner IDs | enumeration checkbox | | r
";

/// A customer's own properties, one of every field type, on contacts, companies and deals.
pub const CUSTOM: &str = "
customer_tier | Customer tier | enumeration select | custom | x | gold=Gold, silver=Silver, bronze=Bronze
interests | Interests | enumeration checkbox | custom | x | sailing=Sailing, chess=Chess, cooking=Cooking, trail_running=Trail running
preferred_channel | Preferred channel | enumeration radio | custom | x | phone=Phone, email=E-mail, post=Post
vip | VIP | bool booleancheckbox | custom | x
loyalty_points | Loyalty points | number number | custom | x
contract_notes | Contract notes | string textarea | custom | x
biography | Biography | string html | custom | x
nickname | Nickname | string text | custom | x
renewal_date | Renewal date | date date | custom | x
last_survey_at | Last survey at | datetime date | custom | x
contract_file | Contract file | string file | custom | x
backup_phone | Backup phone | phone_number phonenumber | custom | x
account_score | Account score | number calculation_equation | custom | cx
external_ref | External reference | string text | custom | ux
account_manager | Account manager | enumeration select | custom | xo
newsletter | Newsletter | enumeration booleancheckbox | custom | x | true=Yes, false=No
";

const CONTACTS: &str = "
firstname | First Name | string text | contactinformation
lastname | Last Name | string text | contactinformation
salutation | Salutation | string text | contactinformation
email | Email | string text | contactinformation | u
hs_additional_emails | Additional email addresses | enumeration checkbox | contactinformation
work_email | Work email | string text | contactinformation
phone | Phone Number | string phonenumber | contactinformation
mobilephone | Mobile Phone Number | string phonenumber | contactinformation
fax | Fax Number | string text | contactinformation
company | Company Name | string text | contactinformation
jobtitle | Job Title | string text | contactinformation
website | Website URL | string text | contactinformation
address | Street Address | string text | contactinformation
city | City | string text | contactinformation
state | State/Region | string text | contactinformation
zip | Postal Code | string text | contactinformation
country | Country/Region | string text | contactinformation
hs_language | Preferred language | enumeration select | contactinformation | | en=English, de=German, fr=French, ja=Japanese, pt-br=Portuguese - Brazil, sv=Swedish, es=Spanish
gender | Gender | string text | contactinformation
date_of_birth | Date of birth | string text | contactinformation
lifecyclestage | Lifecycle Stage | enumeration radio | contactinformation | | subscriber=Subscriber, lead=Lead, marketingqualifiedlead=Marketing Qualified Lead, salesqualifiedlead=Sales Qualified Lead, opportunity=Opportunity, customer=Customer, evangelist=Evangelist, other=Other
hs_lead_status | Lead Status | enumeration radio | sales_properties | | NEW=New, OPEN=Open, IN_PROGRESS=In Progress, OPEN_DEAL=Open Deal, UNQUALIFIED=Unqualified, ATTEMPTED_TO_CONTACT=Attempted to Contact, CONNECTED=Connected, BAD_TIMING=Bad Timing
hs_linkedin_url | LinkedIn URL | string text | contactinformation
twitterhandle | Twitter Username | string text | socialmediainformation
linkedinbio | LinkedIn Bio | string text | socialmediainformation
message | Message | string textarea | contactinformation
numemployees | Number of Employees | enumeration select | contactinformation | | 1-5, 5-25, 25-50, 50-100, 100-500, 500-1000, 1000+
annualrevenue | Annual Revenue | string text | contactinformation
industry | Industry | string text | contactinformation
associatedcompanyid | Primary Associated Company ID | number number | contactinformation | r
createdate | Create Date | datetime date | contactinformation | r
lastmodifieddate | Last Modified Date | datetime date | contactinformation | r
notes_last_updated | Last Activity Date | datetime date | sales_properties | r
notes_last_contacted | Last Contacted | datetime date | sales_properties | r
num_associated_deals | Number of Associated Deals | number number | deal_information | r
hs_analytics_source | Original Traffic Source | enumeration select | analyticsinformation | r | ORGANIC_SEARCH=Organic Search, DIRECT_TRAFFIC=Direct Traffic, REFERRALS=Referrals, OFFLINE=Offline Sources
hs_email_optout | Unsubscribed from all email | bool booleancheckbox | emailinformation | r
hs_email_domain | Email Domain | string text | contactinformation | c
hs_full_name_or_email | Full name or email | string text | contactinformation | c
";

const COMPANIES: &str = "
name | Company name | string text | companyinformation
domain | Company Domain Name | string text | companyinformation
website | Website URL | string text | companyinformation
description | Description | string textarea | companyinformation
industry | Industry | enumeration select | companyinformation | | ACCOUNTING=Accounting, BIOTECHNOLOGY=Biotechnology, COMPUTER_SOFTWARE=Computer Software, CONSTRUCTION=Construction, FINANCIAL_SERVICES=Financial Services, FOOD_PRODUCTION=Food Production, HOSPITAL_HEALTH_CARE=Hospital & Health Care, INSURANCE=Insurance, LOGISTICS_AND_SUPPLY_CHAIN=Logistics and Supply Chain, RETAIL=Retail
phone | Phone Number | string phonenumber | companyinformation
address | Street Address | string text | companyinformation
address2 | Street Address 2 | string text | companyinformation
city | City | string text | companyinformation
state | State/Region | string text | companyinformation
zip | Postal Code | string text | companyinformation
country | Country/Region | string text | companyinformation
numberofemployees | Number of Employees | number number | companyinformation
annualrevenue | Annual Revenue | number number | companyinformation
type | Type | enumeration select | companyinformation | | PROSPECT=Prospect, PARTNER=Partner, RESELLER=Reseller, VENDOR=Vendor, OTHER=Other
lifecyclestage | Lifecycle Stage | enumeration radio | companyinformation | | subscriber=Subscriber, lead=Lead, marketingqualifiedlead=Marketing Qualified Lead, salesqualifiedlead=Sales Qualified Lead, opportunity=Opportunity, customer=Customer, evangelist=Evangelist, other=Other
hs_lead_status | Lead Status | enumeration radio | companyinformation | | NEW=New, OPEN=Open, IN_PROGRESS=In Progress, UNQUALIFIED=Unqualified
founded_year | Year Founded | string text | companyinformation
is_public | Is Public | bool booleancheckbox | companyinformation
timezone | Time Zone | string text | companyinformation
linkedin_company_page | LinkedIn Company Page | string text | socialmediainformation
facebook_company_page | Facebook Company Page | string text | socialmediainformation
twitterhandle | Twitter Handle | string text | socialmediainformation
hs_parent_company_id | Parent Company | number number | companyinformation
num_associated_contacts | Number of Associated Contacts | number number | companyinformation | r
createdate | Create Date | datetime date | companyinformation | r
notes_last_updated | Last Activity Date | datetime date | companyinformation | r
";

const DEALS: &str = "
dealname | Deal Name | string text | dealinformation
amount | Amount | number number | dealinformation
amount_in_home_currency | Amount in company currency | number number | dealinformation | c
deal_currency_code | Currency | enumeration select | dealinformation | | USD=US Dollar, EUR=Euro, GBP=British Pound, JPY=Japanese Yen, KWD=Kuwaiti Dinar, BRL=Brazilian Real, SEK=Swedish Krona, KRW=South Korean Won
closedate | Close Date | datetime date | dealinformation
pipeline | Pipeline | enumeration select | dealinformation
dealstage | Deal Stage | enumeration radio | dealinformation
dealtype | Deal Type | enumeration radio | dealinformation | | newbusiness=New Business, existingbusiness=Existing Business
description | Deal Description | string textarea | dealinformation
hs_priority | Priority | enumeration select | dealinformation | | low=Low, medium=Medium, high=High
hs_deal_stage_probability | Deal probability | number number | dealinformation | c
hs_is_closed | Is Deal Closed? | bool booleancheckbox | dealinformation | c
hs_is_closed_won | Is Closed Won | bool booleancheckbox | dealinformation | c
hs_forecast_amount | Forecast amount | number number | dealinformation | c
hs_next_step | Next step | string text | dealinformation
closed_lost_reason | Closed Lost Reason | string textarea | dealinformation
closed_won_reason | Closed Won Reason | string textarea | dealinformation
num_associated_contacts | Number of Associated Contacts | number number | dealinformation | r
createdate | Create Date | datetime date | dealinformation | r
notes_last_updated | Last Activity Date | datetime date | dealinformation | r
";

const TICKETS: &str = "
subject | Ticket name | string text | ticketinformation
content | Ticket description | string textarea | ticketinformation
hs_pipeline | Pipeline | enumeration select | ticketinformation
hs_pipeline_stage | Ticket status | enumeration select | ticketinformation
hs_ticket_priority | Priority | enumeration select | ticketinformation | | LOW=Low, MEDIUM=Medium, HIGH=High, URGENT=Urgent
hs_ticket_category | Category | enumeration checkbox | ticketinformation | | PRODUCT_ISSUE=Product issue, BILLING_ISSUE=Billing issue, FEATURE_REQUEST=Feature request, GENERAL_INQUIRY=General inquiry
source_type | Source | enumeration select | ticketinformation | | CHAT=Chat, EMAIL=Email, FORM=Form, PHONE=Phone
createdate | Create date | datetime date | ticketinformation | r
closed_date | Close date | datetime date | ticketinformation
";

const LEADS: &str = "
hs_lead_name | Lead name | string text | lead_information
hs_lead_type | Lead type | enumeration select | lead_information | | NEW_BUSINESS=New business, RE_ATTEMPTING=Re-attempting, UPSELL=Upsell
hs_lead_label | Lead label | enumeration select | lead_information | | HOT=Hot, WARM=Warm, COLD=Cold
hs_pipeline | Pipeline | enumeration select | lead_information
hs_pipeline_stage | Pipeline stage | enumeration select | lead_information
hs_associated_contact_email | Associated contact email | string text | lead_information | c
hs_associated_contact_firstname | Associated contact first name | string text | lead_information | c
hs_associated_contact_lastname | Associated contact last name | string text | lead_information | c
hs_associated_company_name | Associated company name | string text | lead_information | c
";

const NOTES: &str = "
hs_note_body | Note body | string html | note
hs_body_preview | Body preview | string html | note | c
hs_timestamp | Activity date | datetime date | engagement
hs_attachment_ids | Attached file IDs | enumeration checkbox | engagement
hs_engagement_source | Engagement source | enumeration select | engagement | r
";

const TASKS: &str = "
hs_task_subject | Task Title | string text | task
hs_task_body | Task Notes | string html | task
hs_task_status | Task Status | enumeration select | task | | NOT_STARTED=Not started, IN_PROGRESS=In progress, WAITING=Waiting, COMPLETED=Completed, DEFERRED=Deferred
hs_task_priority | Priority | enumeration select | task | | NONE=None, LOW=Low, MEDIUM=Medium, HIGH=High
hs_task_type | Task Type | enumeration select | task | | TODO=To-do, CALL=Call, EMAIL=Email
hs_task_reminders | Reminders | enumeration checkbox | task
hs_task_completion_date | Completed at | datetime date | task | r
hs_task_is_completed | Is completed | bool booleancheckbox | task | c
hs_timestamp | Due date | datetime date | engagement
";

const CALLS: &str = "
hs_call_title | Call Title | string text | call
hs_call_body | Call notes | string html | call
hs_call_duration | Call duration | number number | call
hs_call_direction | Call direction | enumeration select | call | | INBOUND=Inbound, OUTBOUND=Outbound
hs_call_status | Call status | enumeration select | call | | BUSY, CALLING_CRM_USER, CANCELED, COMPLETED, CONNECTING, FAILED, IN_PROGRESS, NO_ANSWER, QUEUED, RINGING
hs_call_disposition | Call outcome | enumeration select | call | | 9d9162e7-6cf3-4944-bf63-4dff82258764=Busy, f240bbac-87c9-4f6e-bf70-924b57d47db7=Connected, b2cf5968-551e-4856-9783-52b3da59a7d0=Left voicemail, 73a0d17f-1163-4015-bdd5-ec830791da20=No answer
hs_call_from_number | From number | string text | call
hs_call_to_number | To number | string text | call
hs_call_recording_url | Recording URL | string text | call
hs_timestamp | Activity date | datetime date | engagement
";

const MEETINGS: &str = "
hs_meeting_title | Meeting name | string text | meeting
hs_meeting_body | Meeting description | string html | meeting
hs_internal_meeting_notes | Internal meeting notes | string html | meeting
hs_meeting_start_time | Meeting start time | datetime date | meeting
hs_meeting_end_time | Meeting end time | datetime date | meeting
hs_meeting_location | Meeting location | string text | meeting
hs_meeting_external_url | External URL | string text | meeting
hs_meeting_outcome | Meeting outcome | enumeration select | meeting | | SCHEDULED=Scheduled, COMPLETED=Completed, RESCHEDULED=Rescheduled, NO_SHOW=No show, CANCELED=Canceled
hs_timestamp | Activity date | datetime date | engagement
";

const EMAILS: &str = "
hs_email_subject | Email subject | string text | email
hs_email_text | Email body | string textarea | email
hs_email_html | Email HTML | string html | email
hs_email_direction | Email direction | enumeration select | email | | EMAIL=Outgoing, INCOMING_EMAIL=Incoming, FORWARDED_EMAIL=Forwarded
hs_email_status | Email send status | enumeration select | email | | BOUNCED, FAILED, SCHEDULED, SENDING, SENT
hs_email_headers | Email headers | string textarea | email
hs_email_from_email | From email | string text | email | c
hs_email_to_email | To email | string text | email | c
hs_timestamp | Activity date | datetime date | engagement
";
