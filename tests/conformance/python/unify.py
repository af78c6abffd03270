"""PyPI apideck-unify, unchanged and with its own defaults, against the demo."""

import datetime
import time

from apideck_unify import Apideck, models
from apideck_unify.models import ApideckError, APIError

from checks import GATEWAY, RECORDS, SERVICES, check, done, mock, raises


def client(service=None, key="sk_demo_crosswalk", consumer=None):
    consumer = consumer or (f"demo-{service}" if service else "demo-consumer")
    return Apideck(api_key=key, app_id="demo-app", consumer_id=consumer, server_url=GATEWAY)


STAMP = str(time.time_ns())

# resource: (what to create, what to change, a filter that finds it, fields to ask for)
WRITES = {
    "contacts": (
        {
            "first_name": "Zoë",
            "last_name": f"Ångström{STAMP}",
            "emails": [{"email": f"zoe{STAMP}@example.com", "type": "primary"}],
            "phone_numbers": [{"number": "+46 8 123 456", "type": "mobile"}],
        },
        {"first_name": "Zoë", "last_name": "Smith"},
        {"email": f"zoe{STAMP}@example.com"},
    ),
    "companies": (
        {"name": f"日本 & Söhne {STAMP}", "websites": None},
        {"name": f"Renamed {STAMP}"},
        {"name": f"日本 & Söhne {STAMP}"},
    ),
    "opportunities": (
        {
            "title": f"Deal {STAMP}",
            "monetary_amount": 7500.0,
            "currency": "EUR",
            "close_date": datetime.date(2031, 5, 17),
        },
        {"title": f"Deal {STAMP}", "monetary_amount": 12000, "currency": "EUR"},
        {"title": f"Deal {STAMP}"},
    ),
}

def body(response):
    """The typed body; which attribute holds it differs from operation to operation."""
    assert response.unexpected_error_response is None, response
    bodies = [name for name in type(response).model_fields if "_response" in name]
    bodies.remove("unexpected_error_response")
    assert len(bodies) == 1, bodies
    found = getattr(response, bodies[0])
    assert found is not None, response
    return found


def crm(api, resource):
    return getattr(api.crm, resource)


def whole_list(api, resource, **query):
    ids, pages = [], 0
    response = crm(api, resource).list(limit=200, **query)
    while response is not None:
        page = body(response)
        ids += [record.id for record in page.data]
        pages += 1
        assert page.meta.items_on_page == len(page.data)
        response = response.next()
    return ids, pages


for service in SERVICES:
    api = client(service)
    for resource in ["contacts", "companies", "opportunities", "users", "pipelines"]:
        here = f"{service} {resource}"
        part = crm(api, resource)

        with check(f"{here}: list with defaults, then one"):
            page = body(part.list())
            assert page.status_code == 200 and page.status == "OK", page
            assert (page.service, page.resource, page.operation) == (service, resource, "all"), page
            assert 0 < len(page.data) <= 20
            first = page.data[0]
            one = body(part.get(id=first.id))
            assert one.operation == "one"
            assert one.data == first, f"{one.data}\n is not \n{first}"

        with check(f"{here}: raw"):
            page = body(part.list(raw=True, limit=2))
            assert page.raw, page

    for resource, (new, changed, found_by) in WRITES.items():
        here = f"{service} {resource}"
        part = crm(api, resource)

        with check(f"{here}: every page by next()"):
            ids, pages = whole_list(api, resource)
            assert len(ids) == len(set(ids)) == RECORDS, (len(ids), len(set(ids)))
            assert pages == RECORDS / 200, pages

        with check(f"{here}: fields"):
            needed = {"contacts": "id", "companies": "id,name", "opportunities": "id,title"}[resource]
            page = body(part.list(fields=needed, limit=3))
            for record in page.data:
                assert sorted(record.model_fields_set) == sorted(needed.split(",")), record

        for direction in ["asc", "desc"]:
            with check(f"{here}: sort by created_at {direction}"):
                sort = {"by": "created_at", "direction": direction}
                page = body(part.list(sort=sort, limit=60))
                times = [record.created_at for record in page.data]
                assert len(times) == 60 and None not in times
                assert times == sorted(times, reverse=direction == "desc")
                assert times[0] != times[-1]

        made = None
        with check(f"{here}: create"):
            created = body(part.create(**new))
            assert (created.status_code, created.operation) == (201, "add"), created
            made = created.data.id
            assert made

        with check(f"{here}: one reads what was created"):
            record = body(part.get(id=made)).data
            for name, value in new.items():
                if value is None:
                    continue
                found = getattr(record, name)
                if isinstance(value, list):
                    for key, part_value in value[0].items():
                        assert getattr(found[0], key) == part_value, (name, found)
                else:
                    assert found == value, (name, found, value)

        with check(f"{here}: filter"):
            page = body(part.list(filter_=found_by))
            assert [record.id for record in page.data] == [made], page.data

        with check(f"{here}: update touches what it names"):
            before = body(part.get(id=made)).data
            updated = body(part.update(id=made, **changed))
            assert (updated.status_code, updated.operation, updated.data.id) == (200, "update", made)
            after = body(part.get(id=made)).data
            for name, value in changed.items():
                assert getattr(after, name) == value, (name, after)
            if resource == "contacts":
                assert (after.first_name, after.emails) == (before.first_name, before.emails), after

        with check(f"{here}: an explicit null clears"):
            cleared = {"contacts": "phone_numbers", "companies": None, "opportunities": "close_date"}[resource]
            if cleared:
                value = [] if cleared == "phone_numbers" else None
                needed = {"title": new["title"]} if resource == "opportunities" else {}
                part.update(id=made, **{cleared: value}, **needed)
                assert not getattr(body(part.get(id=made)).data, cleared)

        with check(f"{here}: delete"):
            deleted = body(part.delete(id=made))
            assert (deleted.operation, deleted.data.id) == ("delete", made), deleted
            with raises(models.NotFoundResponse, status_code=404, data__type_name="EntityNotFoundError"):
                part.get(id=made)

    with check(f"{service}: BadRequestResponse lists every fault"):
        with raises(models.BadRequestResponse, status_code=400, data__type_name="RequestValidationError"):
            api.crm.contacts.create(emails=[{"email": "not an address"}], gender="other")

    with check(f"{service}: a limit out of range is a BadRequestResponse"):
        with raises(models.BadRequestResponse, data__type_name="RequestValidationError"):
            api.crm.contacts.list(limit=201)

    with check(f"{service}: a filter that the CRM lacks"):
        lacks = {"hubspot": {"name": "x"}, "pipedrive": {"first_name": "x"}}[service]
        with raises(models.BadRequestResponse, data__type_name="UnsupportedFiltersError"):
            api.crm.contacts.list(filter_=lacks)

    with check(f"{service}: what the CRM cannot do is told at once"):
        began = time.monotonic()
        with raises(APIError, status_code=501):
            api.crm.users.delete(id="1")
        assert time.monotonic() - began < 5, "the client tried again"

    with check(f"{service}: a write that may have happened is not sent again by a default client"):
        path = {"hubspot": "/crm/v3/objects/companies", "pipedrive": "/api/v2/organizations"}[service]
        name = f"Once {STAMP}"
        mock("POST", "faults", {"kind": "drop_after", "vendor": service, "method": "POST", "path": path, "times": 1})
        before = len(mock("GET", f"journal?vendor={service}&method=POST&path={path}")["entries"])
        with raises(APIError, status_code=424):
            api.crm.companies.create(name=name)
        after = len(mock("GET", f"journal?vendor={service}&method=POST&path={path}")["entries"])
        assert after - before == 1, (before, after)
        found = body(api.crm.companies.list(filter_={"name": name})).data
        assert len(found) == 1, found
        api.crm.companies.delete(id=found[0].id)

    with check(f"{service}: a read that fails is repeated by the client until it works"):
        fault = {"kind": "status", "status": 500, "vendor": service, "method": "GET", "times": 1}
        mock("POST", "faults", fault | {"path": "*/users" if service == "pipedrive" else "*/owners*"})
        assert body(api.crm.users.list()).data
        mock("DELETE", "faults")

with check("UnauthorizedResponse"):
    with raises(models.UnauthorizedResponse, status_code=401, data__type_name="UnauthorizedError"):
        client("hubspot", key="sk_wrong").crm.contacts.list()
with check("UnprocessableResponse: several connections and no service id"):
    with raises(models.UnprocessableResponse, status_code=422, data__type_name="InvalidStateError"):
        client().crm.contacts.list()
with check("a service id picks one"):
    page = client().crm.contacts.list(service_id="pipedrive", limit=1)
    assert body(page).service == "pipedrive"
with check("NotFoundResponse: no connection, unknown connector"):
    with raises(models.NotFoundResponse, status_code=404, data__type_name="ConnectionNotFoundError"):
        client(consumer="lonely-consumer").crm.contacts.list()
    with raises(models.NotFoundResponse, status_code=404, data__type_name="ConnectorNotFoundError"):
        client().crm.contacts.list(service_id="no-such-crm")
with check("BadRequestResponse: headers are missing"):
    with raises(models.BadRequestResponse, status_code=400, data__type_name="RequestHeadersValidationError"):
        Apideck(api_key="sk_demo_crosswalk", server_url=GATEWAY).crm.contacts.list()
with check("errors carry what was said"):
    try:
        client("hubspot").crm.contacts.get(id="987654321")
        raise AssertionError("found")
    except ApideckError as error:
        assert error.data.message and error.data.ref and error.data.detail is not None, error.data
        assert error.headers["request-id"]

done()
