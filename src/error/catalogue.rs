//! The table of all failures.

use http::StatusCode;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The application's request.
    Caller,
    /// The consumer's connection: credentials, settings, what their CRM can do.
    Connection,
    /// The CRM.
    Vendor,
    /// The gateway or its mapping files.
    Gateway,
}

impl Fault {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Caller => "caller",
            Fault::Connection => "connection",
            Fault::Vendor => "vendor",
            Fault::Gateway => "gateway",
        }
    }
}

/// One row: what a kind of failure answers unless a call knows better.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// `type_name` on the wire.
    pub name: &'static str,
    /// The status of the reply.
    pub status: StatusCode,
    /// Whose fault it usually is.
    pub fault: Fault,
    /// Whether the same call may succeed later.
    pub retriable: bool,
    /// When it is answered: the text of its page.
    pub when: &'static str,
}

macro_rules! catalogue {
    ($($kind:ident $status:ident $fault:ident $retriable:literal $when:literal)*) => {
        /// The kinds of failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $when] $kind,)*
        }

        /// All rows.
        pub const CATALOGUE: &[Row] = &[$(Row {
            kind: Kind::$kind,
            name: stringify!($kind),
            status: StatusCode::$status,
            fault: Fault::$fault,
            retriable: $retriable,
            when: $when,
        },)*];

        impl Kind {
            /// The kind's row.
            pub const fn row(self) -> Row {
                match self {
                    $(Kind::$kind => Row {
                        kind: self,
                        name: stringify!($kind),
                        status: StatusCode::$status,
                        fault: Fault::$fault,
                        retriable: $retriable,
                        when: $when,
                    },)*
                }
            }

            /// `type_name` on the wire.
            pub const fn name(self) -> &'static str {
                self.row().name
            }
        }
    };
}

catalogue! {
    RequestHeadersValidationError BAD_REQUEST Caller false "A required header is missing or malformed; all of them are listed."
    RequestValidationError BAD_REQUEST Caller false "The path, query or body is outside the contract; every fault is listed with its place."
    UnsupportedFiltersError BAD_REQUEST Caller false "The filter is valid, but this connector cannot apply it; the supported ones are listed."
    UnsupportedSortFieldError BAD_REQUEST Caller false "The sort is valid, but this connector cannot apply it; the supported ones are listed."
    InvalidCursorError BAD_REQUEST Caller false "The cursor is malformed, forged, expired, or belongs to another connection, operation or query."
    UnauthorizedError UNAUTHORIZED Caller false "The API key is missing or wrong, or belongs to another application."
    ConnectorCredentialsError UNAUTHORIZED Connection false "The connection is not authorised: it never was, was revoked, or could not be refreshed."
    RequestLimitError PAYMENT_REQUIRED Caller false "The application's plan quota is used up."
    ForbiddenError FORBIDDEN Caller false "The caller is known, but not allowed to do this."
    EntityNotFoundError NOT_FOUND Caller false "There is no such record or route."
    ConnectorNotFoundError NOT_FOUND Caller false "The service id is unknown, or not of this unified API."
    IntegrationNotFoundError NOT_FOUND Caller false "The application has not enabled this connector."
    ConnectionNotFoundError NOT_FOUND Connection false "The consumer has no connection, or none to the service named."
    OAuthCredentialsNotFoundError NOT_FOUND Caller false "The integration has no OAuth client id and secret."
    MethodNotAllowedError METHOD_NOT_ALLOWED Caller false "The route exists, but not with this method; `Allow` lists the methods it has."
    ConflictError CONFLICT Caller false "The request conflicts with the state of what it addresses."
    PayloadTooLargeError PAYLOAD_TOO_LARGE Caller false "The body is larger than allowed."
    UnsupportedMediaTypeError UNSUPPORTED_MEDIA_TYPE Caller false "The body is not JSON where JSON is required."
    InvalidStateError UNPROCESSABLE_ENTITY Caller false "The request is understood, but cannot be processed in this state."
    ConnectionSettingsError UNPROCESSABLE_ENTITY Connection false "Required connection settings are missing; they are listed."
    ConnectorDisabledError FORBIDDEN Connection false "The connector or the connection is switched off."
    TooManyRequestsError TOO_MANY_REQUESTS Caller true "The gateway's own rate limit is reached."
    ConnectorRateLimitError TOO_MANY_REQUESTS Vendor true "The CRM's rate limit is reached."
    ConnectorExecutionError BAD_GATEWAY Vendor false "The CRM answered with an unexpected error, or not at all."
    PostWriteProcessingError FAILED_DEPENDENCY Vendor false "The write happened, but its reply could not be processed."
    OAuthRedirectUriError BAD_REQUEST Caller false "The redirect URI is missing or not allowed."
    OAuthInvalidStateError BAD_REQUEST Caller false "The OAuth state is missing, altered, expired or was used before."
    OAuthCodeExchangeError BAD_REQUEST Connection false "The authorization code could not be exchanged."
    OAuthConnectorError BAD_GATEWAY Vendor true "The CRM's OAuth side failed."
    MappingError NOT_IMPLEMENTED Gateway false "A mapped attribute could not be computed at all."
    ConnectorMappingNotFoundError NOT_IMPLEMENTED Gateway false "The connector is known, but has no mapping for the resource."
    ConnectorResponseMappingNotFoundError NOT_IMPLEMENTED Gateway false "The mapping has no read side."
    ConnectorOperationMappingNotFoundError NOT_IMPLEMENTED Gateway false "The resource is mapped, but not this operation."
    ConnectorWorkflowMappingError NOT_IMPLEMENTED Gateway false "A step of an operation with several calls is not mapped."
    ConnectorOperationUnsupportedError NOT_IMPLEMENTED Connection false "The CRM has no such operation."
    PaginationNotSupportedError NOT_IMPLEMENTED Caller false "A cursor was sent where the operation cannot page."
    InternalError INTERNAL_SERVER_ERROR Gateway true "Something went wrong inside the gateway."
    ServiceUnavailableError SERVICE_UNAVAILABLE Gateway true "The gateway is starting, draining or shedding load."
    RequestTimeoutError REQUEST_TIMEOUT Caller true "The request did not arrive in time."
}
