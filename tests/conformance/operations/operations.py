"""Every operation of a client on every connector, as operations.json has it. What differs from client to client is in
the client that is given: it speaks the contract's own keys."""

import json
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
from checks import GATEWAY, MOCK, SERVICES, mock  # noqa: E402

DATA = json.loads(pathlib.Path(__file__).with_name("operations.json").read_text())
VERBS = {
    "lists": ["list", "one"],
    "list-members": ["list"],
}
ALL = ["create", "list", "one", "update", "delete"]
# The rows of the catalogue that say: this connector cannot do it.
UNSUPPORTED = {"ConnectorOperationUnsupportedError", "ConnectorMappingNotFoundError", "ConnectorOperationMappingNotFoundError"}


class Refused(Exception):
    """The client's own error, as the contract has it."""

    def __init__(self, status, type_name):
        super().__init__(f"{status} {type_name}")
        self.status, self.type_name = status, type_name


def same(found, wanted):
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(same(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list):
            return False
        if wanted and isinstance(wanted[0], dict) and "name" in wanted[0] and ("value" in wanted[0] or "type" in wanted[0]):
            # Fields, custom or of an object, among those that the record has beside them.
            return all(any(same(each, {k: v for k, v in one.items() if k != "id"}) for each in found) for one in wanted)
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, str) and isinstance(found, str) and wanted[4:5] == "-" and "T" in wanted:
        return found[:19] == wanted[:19]
    if isinstance(wanted, str) and isinstance(found, str) and len(wanted) == 10 and wanted[4] == wanted[7] == "-":
        # Some clients hold a day as its midnight.
        return found[:10] == wanted
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return isinstance(found, (int, float)) and float(found) == float(wanted)
    return found == wanted


def holds(record, sample, but=()):
    for key, value in sample.items():
        if key not in but and value is not None:
            assert same(record.get(key), value), f"{key}: {record.get(key)!r} is not {value!r}"


class Run:
    def __init__(self, name, service, client):
        self.name, self.service, self.client = name, service, client
        self.stamp = f"{time.time_ns()}"[-12:]
        self.made = {}
        self.field_ids = {}
        self.cells = {}
        self.counted = {"passed": 0, "failed": 0}

    def fill(self, value):
        if isinstance(value, str):
            if value.startswith("$") and value[1:] in self.made:
                return self.made[value[1:]]
            return value.replace("{stamp}", self.stamp)
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        if isinstance(value, dict):
            return {key: self.fill(each) for key, each in value.items()}
        return value

    def suit(self, resource, body):
        """A body as this client can say it: some know fewer fields, some want the id of a custom field."""
        lacks = self.client.lacks(resource)
        suited = {key: value for key, value in body.items() if key not in lacks}
        if len(suited) < len(body) and "pass_through" in DATA[self.service][resource].get("lacking", {}):
            suited["pass_through"] = self.fill(DATA[self.service][resource]["lacking"]["pass_through"])
        for field in suited.get("custom_fields", []) if self.client.custom_field_ids else []:
            field.update(id=self.field_ids[field["name"]])
        return suited

    def check(self, resource, verb, what, body):
        """One check of an operation: `pass`, `unsupported` or `FAIL`, the worst of all its checks."""
        operation = f"{resource}.{verb}"
        expected = "unsupported" if operation in DATA[self.service]["unsupported"] else "pass"
        began = time.monotonic()
        try:
            try:
                body()
                found = "pass"
            except Refused as refused:
                if refused.status != 501:
                    raise
                assert refused.type_name in UNSUPPORTED, refused
                assert time.monotonic() - began < 5, "the client tried again"
                found = "unsupported"
            assert found == expected, f"{found}, not {expected}: see operations.json"
            self.counted["passed"] += 1
        except Exception:
            self.counted["failed"] += 1
            found = "FAIL"
            print(f"FAILED: {self.name} {self.service} {operation}: {what}")
            traceback.print_exc(limit=6, file=sys.stdout)
        if os.environ.get("TIMES"):
            print(f"{time.monotonic() - began:6.2f} s  {operation}: {what}")
        if self.cells.get(operation) != "FAIL":
            self.cells[operation] = found
        return found == "pass"

    def list_one(self, resource, place):
        """Pages, `one` as in the list, raw, fields, sort, pass_through."""
        client, query = self.client, {}

        def pages():
            ids, count = [], 0
            for page in client.pages(resource, place, limit=2):
                assert page["operation"] == "all" and page["service"] == self.service, page
                assert page["resource"] == resource and page["status_code"] == 200, page
                assert page["meta"]["items_on_page"] == len(page["data"]) <= 2, page["meta"]
                ids += [record["id"] for record in page["data"]]
                for record in page["data"]:
                    self.field_ids.update({field["name"]: field["id"] for field in record.get("custom_fields") or []})
                count += 1
                if count == 3:
                    break
            assert ids and len(ids) == len(set(ids)), ids
            self.made.setdefault(resource, ids[0])
            query["first"] = page["data"][0] if count == 1 else next(iter(client.pages(resource, place, limit=2)))["data"][0]

        if not self.check(resource, "list", "pages", pages):
            self.made.setdefault(resource, "1")
            query["first"] = {}

        def raw():
            page = next(iter(client.pages(resource, place, limit=1, raw=True)))
            assert isinstance(page.get("_raw"), dict) and page["_raw"], page
            assert next(iter(client.pages(resource, place, limit=1))).get("_raw") is None

        def fields():
            names = DATA["fields"][resource].split(",")
            page = next(iter(client.pages(resource, place, limit=2, fields=",".join(names))))
            for record in page["data"]:
                extra = {key for key, value in record.items() if value is not None} - set(names)
                assert not extra and record["id"], record

        def passed():
            key, value = next(iter(DATA[self.service]["pass_through"].items()))
            before = len(mock("GET", f"journal?vendor={self.service}")["entries"])
            next(iter(client.pages(resource, place, limit=1, pass_through={key: value})))
            asked = mock("GET", f"journal?vendor={self.service}")["entries"][before:]
            assert any(f"{key}={value}" in json.dumps(entry) for entry in asked), asked

        self.check(resource, "list", "raw", raw)
        if resource in DATA["fields"]:
            self.check(resource, "list", "fields", fields)
        if resource in ("companies", "contacts", "opportunities"):
            self.check(resource, "list", "pass_through", passed)
        sort = DATA[self.service][resource].get("sort")
        if sort and client.sorts(resource):

            def sorts():
                page = next(iter(client.pages(resource, place, limit=20, sort={"by": sort, "direction": "desc"})))
                keys = [record[sort] for record in page["data"]]
                assert len(keys) > 1 and keys == sorted(keys, reverse=True), keys

            self.check(resource, "list", f"sort by {sort}", sorts)
        if "one" in VERBS.get(resource, ALL):

            def one():
                answer = client.one(resource, self.made[resource] if not query["first"] else query["first"]["id"], place)
                assert answer["operation"] == "one", answer
                first = query["first"]
                assert same(answer["data"], {k: v for k, v in first.items() if v is not None}), (answer["data"], first)

            self.check(resource, "one", "as in the list", one)

    def write(self, resource, place):
        """Create, one, update, clear: with what operations.json has."""
        client, data = self.client, DATA[self.service][resource]
        body = self.suit(resource, self.fill(data["create"]))
        ids = {}

        def create():
            answer = client.create(resource, body, place)
            assert (answer["status_code"], answer["operation"]) == (201, "add"), answer
            ids["made"] = answer["data"]["id"]
            assert ids["made"]

        if self.check(resource, "create", "a record", create):
            self.made[resource] = ids["made"]
        made = ids.get("made", self.made.get(resource, "1"))

        def one():
            but = {*data.get("not_read_back", ()), "pass_through"}
            holds(client.one(resource, made, place)["data"], body, but)

        def find():
            filters = self.fill(data["find"])
            for page in client.pages(resource, place, limit=200, filter=filters):
                if any(record["id"] == made for record in page["data"]):
                    return
            raise AssertionError(f"{filters} does not find it")

        def update():
            before = client.one(resource, made, place)["data"] if ids else {}
            changes = self.suit(resource, self.fill(data["update"]))
            answer = client.update(resource, made, changes, place)
            assert (answer["status_code"], answer["operation"]) == (200, "update"), answer
            assert answer["data"]["id"] == made, answer
            after = client.one(resource, made, place)["data"]
            holds(after, changes)
            moved = {"updated_at", "updated_by", "custom_fields", "fields", "expected_revenue", "last_activity_at", "name", "created_at", "win_probability"}
            kept = {k: v for k, v in before.items() if k not in changes and k not in moved and v is not None}
            holds(after, kept)

        def clear():
            client.update(resource, made, {**client.needed(resource, data["update"], self.fill), **data["clear"]}, place)
            after = client.one(resource, made, place)["data"]
            for key in data["clear"]:
                assert not after.get(key), f"{key} is {after.get(key)!r}"

        if ids:
            self.check(resource, "one", "what was created", one)
            if "find" in data and client.filters(resource, data["find"]):
                self.check(resource, "list", "filter", find)
        self.check(resource, "update", "changes what it names", update)
        if ids and "clear" in data:
            self.check(resource, "update", "null clears", clear)
        if ids and "pass_through" in data:

            def passed():
                extra = [{"service_id": self.service, **data["pass_through"]}]
                again = client.create(resource, {**body, "pass_through": extra}, place)["data"]["id"]
                record = client.one(resource, again, place)["data"]
                wanted = data["passed_through"]
                for key, value in wanted.items():
                    found = record[key]
                    assert same(found[0], value[0]) if isinstance(value, list) else same(found, value), (key, found)
                client.delete(resource, again, place)

            self.check(resource, "create", "pass_through in the body", passed)

    def delete(self, resource, place):
        client = self.client

        def gone():
            answer = client.delete(resource, self.made[resource], place)
            assert (answer["operation"], answer["data"]["id"]) == ("delete", self.made[resource]), answer
            try:
                client.one(resource, self.made[resource], place)
            except Refused as refused:
                assert (refused.status, refused.type_name) == (404, "EntityNotFoundError"), refused
            else:
                raise AssertionError("still there")

        self.check(resource, "delete", "gone", gone)

    def all(self):
        resources = [each for each in DATA["order"] if self.client.has(each)]
        place = lambda resource: {"list-members": self.made.get("lists", "1"), "custom-objects": self.made.get("custom-object-schemas", "1")}.get(resource)
        for resource in resources:
            # What has no records yet is written first.
            steps = [self.list_one, self.write] if resource not in ("custom-objects", "custom-object-schemas") else [self.write, self.list_one]
            for step in steps:
                if step != self.write or "create" in VERBS.get(resource, ALL):
                    step(resource, place(resource))
        for resource in reversed(resources):
            if "delete" in VERBS.get(resource, ALL):
                self.delete(resource, place(resource))


def main(name, connect):
    """Runs a client on every connector, prints the sum, and keeps the table's column."""
    counted, cells = {"passed": 0, "failed": 0}, {}
    for service in SERVICES:
        run = Run(name, service, connect(service))
        run.all()
        for key in counted:
            counted[key] += run.counted[key]
        cells[service] = run.cells
    folder = os.environ.get("CELLS")
    if folder:
        pathlib.Path(folder, f"{name.replace('/', '_')}.json").write_text(json.dumps({"client": name, "cells": cells}))
    print(f"{counted['passed']} passed, {counted['failed']} failed")
    sys.exit(1 if counted["failed"] else 0)


assert MOCK
