"""PyPI apideck, the client before apideck-unify: every operation."""

import copy
import importlib
import json

import apideck
from apideck.api import crm_api
from apideck.model_utils import validate_and_convert_types
from operations import GATEWAY, Refused, main

# resource: (the model's module, its class)
MODELS = {
    "companies": ("company", "Company"),
    "contacts": ("contact", "Contact"),
    "opportunities": ("opportunity", "Opportunity"),
    "leads": ("lead", "Lead"),
    "pipelines": ("pipeline", "Pipeline"),
    "notes": ("note", "Note"),
    "users": ("user", "User"),
    "activities": ("activity", "Activity"),
}


def model(module, name, value, configuration):
    kind = getattr(importlib.import_module(f"apideck.model.{module}"), name)
    # The conversion works in place.
    return validate_and_convert_types(copy.deepcopy(value), (kind,), ["body"], True, True, configuration)


class Client:
    """The client, spoken to in the contract's own keys."""

    custom_field_ids = True

    def __init__(self, service):
        self.configuration = apideck.Configuration(host=GATEWAY)
        self.configuration.api_key["apiKey"] = "sk_demo_crosswalk"
        self.configuration.api_key_prefix["apiKey"] = "Bearer"
        self.api = crm_api.CrmApi(apideck.ApiClient(self.configuration))
        self.who = {"app_id": "demo-app", "consumer_id": f"demo-{service}"}

    def has(self, resource):
        return resource in MODELS

    def lacks(self, resource):
        return {"leads": ["contact_id"]}.get(resource, ())

    def sorts(self, resource):
        return True

    def filters(self, resource, keys):
        return resource != "activities" or set(keys) <= {"company_id", "owner_id", "contact_id", "updated_since"}

    def needed(self, resource, update, fill):
        """The client insists on these keys in every update."""
        wanted = {"companies": ["name"], "opportunities": ["title", "primary_contact_id"], "leads": ["name", "company_name"], "contacts": ["name"], "activities": ["type"]}
        return {key: fill(update[key]) for key in wanted.get(resource, ()) if key in update}

    def call(self, verb, resource, *given, **query):
        try:
            answer = getattr(self.api, f"{resource}_{verb}")(*given, **self.who, **query)
        except apideck.exceptions.ApiException as error:
            known = {401: "UnauthorizedException", 403: "ForbiddenException", 404: "NotFoundException"}
            usual = "ServiceException" if error.status >= 500 else "ApiException"
            assert type(error).__name__ == known.get(error.status, usual), type(error)
            raise Refused(error.status, json.loads(error.body)["type_name"]) from error
        return json.loads(json.dumps(apideck.ApiClient.sanitize_for_serialization(answer)))

    def body(self, resource, value):
        module, name = MODELS[resource]
        return model(module, name, value, self.configuration)

    def pages(self, resource, place, **query):
        for key in ("filter", "sort"):
            if key in query:
                query[key] = model(f"{resource}_{key}", f"{resource.capitalize()}{key.capitalize()}", query[key], self.configuration)
        if "pass_through" in query:
            query["pass_through"] = model("pass_through_query", "PassThroughQuery", query["pass_through"], self.configuration)
        while True:
            page = self.call("all", resource, **query)
            yield page
            cursor = page["meta"]["cursors"]["next"]
            if cursor is None:
                return
            query["cursor"] = cursor

    def one(self, resource, id, place):
        return self.call("one", resource, id)

    def create(self, resource, body, place):
        return self.call("add", resource, self.body(resource, body))

    def update(self, resource, id, body, place):
        return self.call("update", resource, id, self.body(resource, body))

    def delete(self, resource, id, place):
        return self.call("delete", resource, id)


main("apideck", Client)
