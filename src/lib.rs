//! Crosswalk: a self-hosted unified CRM API. An application calls one API; Crosswalk answers from whichever CRM the
//! application's customer has connected. This page is the guided tour.
//!
//! # Words
//!
//! One word per thing, in code, JSON, logs and documentation. *Downstream* always means the CRM's side.
//!
//! | word | what |
//! |---|---|
//! | application | a tenant of the gateway (`x-apideck-app-id`); owns API keys |
//! | consumer | the application's customer (`x-apideck-consumer-id`) |
//! | connector | a CRM that we speak: a folder of data |
//! | service id | a connector's id on the wire (`x-apideck-service-id`) |
//! | integration | an application's own settings for a connector: OAuth client, scopes |
//! | connection | one consumer's link to one connector: settings, credentials, state |
//! | resource | contacts, companies, opportunities (the CRM's deals), … |
//! | operation | a resource and a verb: `contacts.list` |
//! | call | one unified request, checked |
//! | record | one contact, company, … |
//! | mapping | the field rules of one connector and resource |
//! | problem, warning | a mapping fault, located; what the caller is told of it |
//!
//! # A call is data walking through rooms
//!
//! ```text
//! 1 edge → 2 context → 3 resolve → 4 plan ⇄ 5 downstream → 6 normalise → 7 envelope → 8 respond
//! bytes    headers,     connection    pure     the only       pure, per     pure        bytes
//!          key, limits  + fresh       machine  socket         record
//!                       credentials
//! ```
//!
//! [`unify`] is the corridor: about one line per room. In walking order:
//!
//! 1. [`edge`] takes connections, reads headers, query and body, and finds the operation; [`contract`] says what may be asked,
//!    and checks bodies.
//! 2. [`access`] knows the API key and what it allows.
//! 3. [`vault`] finds the consumer's connection, and sees to credentials that are good: refreshed before they expire, one at a time.
//! 4. [`plan`] decides which requests a call becomes. **It does no IO**: [`plan::Plan::start`] gives a batch of requests,
//!    [`plan::Plan::feed`] takes the replies and gives more, or the result. Fan-out, the choice between list and search,
//!    paging, and follow-up reads are therefore plain code, run by tests without a socket.
//! 5. [`downstream`] sends them: the only place that calls a CRM. It repeats what may be repeated, keeps to the CRM's pace,
//!    and refuses addresses that it must not call.
//! 6. [`normalise`] tells what a reply means; [`mapping`] reads records, straight from the reply's bytes to unified JSON.
//! 7. [`envelope`] puts the answer into its frame. A list that is streamed walks rooms 3 to 7 once for each page, each only when
//!    the caller has taken the one before.
//! 8. [`edge`] again: status, headers, one log line; every failure is a row of [`error::CATALOGUE`].
//!
//! [`portal`] is the other corridor: operations of the Vault and Connector APIs, by which an application manages what calls need.
//! [`logs`] keeps what became of every call, in either corridor, written behind it.
//!
//! What they stand on: [`connector`] is manifests as data, compiled and cross-checked; [`cursor`] signed tokens for where a list
//! goes on; [`storage`] the database and sealed secrets; [`model`] the nouns that rooms share. Around them: [`serve`] starts and
//! stops a gateway, [`app`] is what all calls share, [`config`] every setting, [`observe`] log lines, [`web`] pages for people, [`admin`]
//! the command line's verbs, [`check`] runs a connector's case folders.
//!
//! # Floors
//!
//! A room may use the floors below it and nothing above; a test holds this.
//!
//! ```text
//! main → serve → edge, web → unify, portal, check, admin → app → access, vault, logs → config, observe, storage, downstream
//!      → plan, normalise, envelope → connector → mapping, cursor, contract → error → model
//! ```
//!
//! From `plan` downwards there is no clock, randomness, file, environment, log or async code (but for [`connector::load`], which
//! reads files): times and ids come in as arguments, faults go out as values.
//!
//! # Invariants
//!
//! 1. A secret leaves [`storage`] unsealed only to sign a request; it prints as `***`; logs and `_raw` are redacted.
//! 2. One bad record is a warning, never a lost page; a cursor always moves on; paging never skips and never repeats a record.
//! 3. Nothing is invented: no default value reaches a CRM or a caller silently.
//! 4. Every failure is one row of the catalogue, says whose fault it is, and keeps the CRM's own message.
//! 5. A write is never sent twice: it is repeated only when it surely did not happen, or under an idempotency key after a look
//!    whether it did.
//! 6. Absence in a manifest *is* "unsupported".
//! 7. Mapping costs microseconds per record; nothing on the way of a call parses a manifest or asks the database.
//! 8. Every reply carries `Request-Id`.
//!
//! # Where something belongs
//!
//! A CRM's endpoint, filter, paging or error: its manifest (`connectors/README.md`). How a field corresponds: its mapping
//! (`mappings/README.md`). A quirk that neither can say: a new key or function there, documented, never code for one CRM. What
//! callers may send: `openapi/`. A new way to fail: a row of the catalogue.

pub mod edge;

pub mod access;
pub mod contract;
pub mod logs;
pub mod portal;
pub mod unify;
pub mod vault;

pub mod plan;

pub mod downstream;

pub mod normalise;

pub mod envelope;

pub mod connector;
pub mod cursor;
pub mod error;
pub mod mapping;
pub mod model;

pub mod app;
pub mod config;
pub mod observe;
pub mod serve;
pub mod storage;

pub mod admin;
pub mod check;
pub mod web;
