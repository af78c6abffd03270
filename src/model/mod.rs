//! Nouns that rooms hand to each other. No logic beyond constructors and accessors.
//!
//! [`operation`] what is asked of the API · [`call`] one checked request · [`answer`] what is replied, whole or piece by piece · [`connection`] whose CRM it is ·
//! [`portal`] what is asked of the Vault and Connector APIs ·
//! [`downstream`] requests to a CRM and its replies · [`field`] what a CRM says about its own fields ·
//! [`trail`] what calls leave behind for the request log · [`problem`] located mapping faults and the warnings they become · [`secret`] texts that must not be seen.

pub mod answer;
pub mod call;
pub mod connection;
pub mod downstream;
pub mod field;
pub mod operation;
pub mod portal;
pub mod problem;
pub mod secret;
pub mod trail;
pub mod warning;

pub use answer::{Answer, Body, Early, End, Piece, Stream};
pub use call::{Call, Context, Earlier, FieldMask, Format, Query, Sort, Trace};
pub use connection::{AppId, Connection, ConnectionId, ConnectionState, ConsumerId, ServiceId};
pub use downstream::{
    Attempt, Failure, LimitHeaders, Outcome, Policy, Reply, Request, ResetUnit, Safety, Sent,
};
pub use field::{FieldDefinition, FieldDefinitions, FieldKind, FieldLimits, FieldOption};
pub use operation::{Operation, Resource, Verb};
pub use portal::{OperationId, PortalCall, Visitor};
pub use problem::{Problem, Severity};
pub use secret::{Credentials, Secret};
pub use trail::{LoggedCall, LoggedRequest, Noted, Trail};
pub use warning::Warning;
