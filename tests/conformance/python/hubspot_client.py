"""PyPI hubspot-api-client, HubSpot's own, unchanged against the mock alone."""

import time

import hubspot
from hubspot.crm import companies, contacts, deals
from hubspot.crm.associations.v4 import AssociationSpec

from checks import MOCK, RECORDS, check, done

api = hubspot.Client.create(access_token="pat-demo-hubspot", host=f"{MOCK}/hubspot")
own = hubspot.Client.create(access_token="pat-test-python", host=f"{MOCK}/hubspot")

stamp = str(time.time_ns())
for name, kind in [("contacts", contacts), ("companies", companies), ("deals", deals)]:
    part = getattr(own.crm, name)
    key = {"contacts": "firstname", "companies": "name", "deals": "dealname"}[name]

    with check(f"{name}: every page"):
        records = getattr(api.crm, name).get_all()
        ids = [record.id for record in records]
        assert len(ids) == len(set(ids)) == RECORDS, len(ids)

    with check(f"{name}: create, read, update, archive"):
        made = part.basic_api.create(kind.SimplePublicObjectInputForCreate(properties={key: "Zoë"}, associations=[]))
        assert made.properties[key] == "Zoë" and made.created_at and not made.archived
        read = part.basic_api.get_by_id(made.id, properties=[key, "createdate"])
        assert read.properties[key] == "Zoë" and read.properties["createdate"]
        part.basic_api.update(made.id, kind.SimplePublicObjectInput(properties={key: f"n{stamp}"}))
        assert part.basic_api.get_by_id(made.id, properties=[key]).properties[key] == f"n{stamp}"
        query = kind.PublicObjectSearchRequest(
            filter_groups=[{"filters": [{"propertyName": key, "operator": "EQ", "value": f"n{stamp}"}]}], limit=10
        )
        found = part.search_api.do_search(query)
        assert (found.total, found.results[0].id) == (1, made.id)
        part.basic_api.archive(made.id)
        try:
            part.basic_api.get_by_id(made.id)
            raise AssertionError("still there")
        except kind.ApiException as error:
            assert error.status == 404

with check("search pages through by after"):
    ids, after = [], None
    while True:
        query = contacts.PublicObjectSearchRequest(
            sorts=["hs_object_id"], limit=100, after=after, properties=["email"], filter_groups=[]
        )
        page = api.crm.contacts.search_api.do_search(query)
        ids += [record.id for record in page.results]
        after = page.paging.next.after if page.paging else None
        if after is None:
            break
    assert len(ids) == len(set(ids)) == page.total == RECORDS, len(ids)

with check("batch create, read, archive"):
    batch = own.crm.companies.batch_api
    inputs = [{"properties": {"name": f"Batch {n}"}, "associations": []} for n in range(3)]
    made = batch.create(companies.BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs))
    ids = [{"id": record.id} for record in made.results]
    read = batch.read(
        companies.BatchReadInputSimplePublicObjectId(inputs=ids, properties=["name"], properties_with_history=[])
    )
    assert sorted(record.properties["name"] for record in read.results) == ["Batch 0", "Batch 1", "Batch 2"]
    batch.archive(companies.BatchInputSimplePublicObjectId(inputs=ids))

with check("associations"):
    person = own.crm.contacts.basic_api.create(
        contacts.SimplePublicObjectInputForCreate(properties={"firstname": "A"}, associations=[])
    )
    firm = own.crm.companies.basic_api.create(
        companies.SimplePublicObjectInputForCreate(properties={"name": "B"}, associations=[])
    )
    part = own.crm.associations.v4.basic_api
    spec = AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=1)
    part.create("contacts", person.id, "companies", firm.id, association_spec=[spec])
    page = part.get_page("contacts", person.id, "companies")
    assert str(page.results[0].to_object_id) == firm.id, page
    assert {kind.type_id for kind in page.results[0].association_types} >= {1}, page
    part.archive("contacts", person.id, "companies", firm.id)
    assert not part.get_page("contacts", person.id, "companies").results

with check("owners, pipelines, properties"):
    owners = api.crm.owners.owners_api.get_page(limit=5).results
    assert owners and owners[0].email
    pipeline = api.crm.pipelines.pipelines_api.get_all("deals").results[0]
    assert pipeline.stages and pipeline.label
    names = [each.name for each in api.crm.properties.core_api.get_all("contacts").results]
    assert "email" in names and len(names) == len(set(names))

with check("a validation error is typed"):
    try:
        own.crm.contacts.basic_api.create(
            contacts.SimplePublicObjectInputForCreate(properties={"no_such_property": "x"}, associations=[])
        )
        raise AssertionError("created")
    except contacts.ApiException as error:
        assert error.status == 400 and "PROPERTY_DOESNT_EXIST" in error.body, error.body

with check("an unknown token is refused"):
    try:
        hubspot.Client.create(access_token="nobody", host=f"{MOCK}/hubspot").crm.contacts.basic_api.get_page()
        raise AssertionError("let in")
    except contacts.ApiException as error:
        assert error.status == 401, error

done()
