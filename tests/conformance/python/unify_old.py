"""PyPI apideck, the client before apideck-unify, unchanged against the demo."""

import time

import apideck
from apideck.api import crm_api
from apideck.model.companies_filter import CompaniesFilter
from apideck.model.company import Company
from apideck.model.contact import Contact
from apideck.model.contacts_filter import ContactsFilter
from apideck.model.contacts_sort import ContactsSort
from apideck.model.currency import Currency
from apideck.model.email import Email
from apideck.model.opportunities_filter import OpportunitiesFilter
from apideck.model.opportunity import Opportunity
from apideck.model.sort_direction import SortDirection
from apideck.model.user import User

from checks import GATEWAY, RECORDS, SERVICES, check, done, raises

STAMP = str(time.time_ns())


def client(service, key="sk_demo_crosswalk", consumer=None):
    configuration = apideck.Configuration(host=GATEWAY)
    configuration.api_key["apiKey"] = key
    configuration.api_key_prefix["apiKey"] = "Bearer"
    api = crm_api.CrmApi(apideck.ApiClient(configuration))
    return api, {"app_id": "demo-app", "consumer_id": consumer or f"demo-{service}", "service_id": service}


for service in SERVICES:
    api, who = client(service)
    address = f"old{STAMP}@example.com"
    writes = {
        "contacts": (
            Contact(name="Zoë Ångström", first_name="Zoë", last_name="Ångström", emails=[Email(email=address)]),
            Contact(name="Zoë Smith", first_name="Zoë", last_name="Smith"),
            ContactsFilter(email=address),
            ("last_name", "Ångström", "Smith"),
        ),
        "companies": (
            Company(name=f"Old {STAMP}"),
            Company(name=f"Older {STAMP}"),
            CompaniesFilter(name=f"Old {STAMP}"),
            ("name", f"Old {STAMP}", f"Older {STAMP}"),
        ),
        "opportunities": (
            Opportunity(title=f"Old {STAMP}", primary_contact_id=None, monetary_amount=750000.0, currency=Currency("USD")),
            Opportunity(title=f"Old {STAMP}", primary_contact_id=None, monetary_amount=1.0, currency=Currency("USD")),
            OpportunitiesFilter(title=f"Old {STAMP}"),
            ("monetary_amount", 750000.0, 1.0),
        ),
    }
    call = lambda name, *rest, **more: getattr(api, name)(*rest, **who, **more)

    for resource in ["contacts", "companies", "opportunities", "users", "pipelines"]:
        with check(f"{service} {resource}: list, one"):
            page = call(f"{resource}_all", limit=5)
            assert (page.status_code, page.service, page.operation) == (200, service, "all")
            first = page.data[0]
            one = call(f"{resource}_one", first.id)
            assert one.data.to_dict() == first.to_dict(), (one.data, first)

    for resource, (new, changed, found_by, (name, before, after)) in writes.items():
        here = f"{service} {resource}"
        with check(f"{here}: every page by cursor"):
            ids, cursor = [], None
            while True:
                more = {} if cursor is None else {"cursor": cursor}
                page = call(f"{resource}_all", limit=200, **more)
                ids += [record.id for record in page.data]
                cursor = page.meta.cursors.next
                if cursor is None:
                    break
            assert len(ids) == len(set(ids)) == RECORDS, len(ids)

        made = None
        with check(f"{here}: create, one, filter"):
            created = call(f"{resource}_add", new)
            made = created.data.id
            assert created.status_code == 201
            assert getattr(call(f"{resource}_one", made).data, name) == before
            assert [record.id for record in call(f"{resource}_all", filter=found_by).data] == [made]

        with check(f"{here}: update"):
            assert call(f"{resource}_update", made, changed).data.id == made
            assert getattr(call(f"{resource}_one", made).data, name) == after

        with check(f"{here}: delete"):
            assert call(f"{resource}_delete", made).data.id == made
            with raises(apideck.exceptions.NotFoundException, status=404):
                call(f"{resource}_one", made)

    with check(f"{service}: sort, fields"):
        sort = ContactsSort(by="created_at", direction=SortDirection("desc"))
        times = [record.created_at for record in call("contacts_all", sort=sort, limit=50).data]
        assert times == sorted(times, reverse=True) and len(times) == 50
        # This client wants the key `name` of every contact.
        record = call("contacts_all", fields="id,name", limit=1).data[0]
        assert sorted(record.to_dict()) == ["id", "name"], record

with check("UnauthorizedException"):
    api, who = client("hubspot", key="sk_wrong")
    with raises(apideck.exceptions.UnauthorizedException, status=401):
        api.contacts_all(**who)
with check("NotFoundException: no connection"):
    api, who = client("hubspot", consumer="lonely-consumer")
    with raises(apideck.exceptions.NotFoundException, status=404):
        api.contacts_all(**who)
with check("ApiException: a filter that the CRM lacks"):
    api, who = client("pipedrive")
    with raises(apideck.exceptions.ApiException, status=400):
        api.contacts_all(filter=ContactsFilter(first_name="x"), **who)
with check("ServiceException: an operation that the CRM lacks"):
    api, who = client("hubspot")
    with raises(apideck.exceptions.ServiceException, status=501):
        api.users_add(User(emails=[Email(email="new@example.com")]), **who)

done()
