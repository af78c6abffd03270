"""What the gateway may refuse although its contract allows it, and checks beyond those of schemathesis.

The contract says what any CRM may be asked; one CRM takes less, and has other records than those that were made up.
Only such refusals are let through, told apart by their kind, never by their status alone.
"""

import copy

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

# The connected CRM lacks it, refused it, or no longer knows the position.
OF_THE_CRM = {
    "ConnectorExecutionError",
    # The record was written; what it was to be linked with is not there.
    "PostWriteProcessingError",
    "UnsupportedFiltersError",
    "UnsupportedSortFieldError",
    "InvalidCursorError",
    "PaginationNotSupportedError",
}

# Made-up states, links and redirect URIs have the right form and are not the gateway's own.
MADE_UP = {"OAuthInvalidStateError", "OAuthRedirectUriError"}

# What is left out of the calls.
LEFT_OUT = {
    # Another name of the idempotency key: two that differ are refused, which no schema can say.
    "#/components/parameters/transactionId",
    # A scan reads many pages of the CRM for each call; tests/gateway/scan.rs tries it.
    "#/components/parameters/unsupportedFilter",
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path in raw_schema["paths"].values():
        for operation in path.values():
            if "parameters" in operation:
                operation["parameters"] = [each for each in operation["parameters"] if each.get("$ref") not in LEFT_OUT]


def _error(response):
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_of_the_crm(response):
    error = _error(response)
    detail = error.get("detail")
    # `detail.service` names the connector that cannot take what the contract allows.
    judged_by_connector = isinstance(detail, dict) and "service" in detail
    return error.get("type_name") in OF_THE_CRM or judged_by_connector


def _is_a_stream_with_extras(case):
    """A stream has no place for `_raw` and `_explain`: asked for together they are refused, which no schema can say."""
    query, headers = case.query or {}, case.headers or {}
    true = lambda value: str(value).lower() == "true"
    extras = true(query.get("raw")) or true(query.get("explain")) or true(headers.get("x-apideck-raw"))
    return query.get("format") in ("stream", "csv") and extras


@schemathesis.check
def accepted_unless_the_crm_refuses(ctx, response, case):
    """positive_data_acceptance, but for refusals of the CRM and what no schema can say."""
    made_up = _error(response).get("type_name") in MADE_UP
    if not (_is_of_the_crm(response) or made_up or _is_a_stream_with_extras(case)):
        positive_data_acceptance(ctx, response, case)


@schemathesis.check
def refused_before_the_crm_is_asked(ctx, response, case):
    """negative_data_rejection for the CRM's refusals: what breaks the contract must not have come that far."""
    cursor = _error(response).get("type_name") == "InvalidCursorError"
    if 400 <= response.status_code < 500 and _is_of_the_crm(response) and not cursor:
        accepted = copy.copy(response)
        accepted.status_code = 200
        negative_data_rejection(ctx, accepted, case)


@schemathesis.check
def an_error_tells_its_status_and_request(ctx, response, case):
    """The body of a failure repeats the status and the id of the request."""
    if response.status_code >= 400 and case.method.upper() != "HEAD":
        error = _error(response)
        assert error.get("status_code") == response.status_code, error
        assert [error.get("request_id")] == response.headers.get("request-id"), response.headers
