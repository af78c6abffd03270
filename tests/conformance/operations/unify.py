"""PyPI apideck-unify: every operation."""

import json

from apideck_unify import Apideck, models
from operations import GATEWAY, Refused, main


class Client:
    """The client, spoken to in the contract's own keys."""

    custom_field_ids = False

    def __init__(self, service):
        self.crm = Apideck(api_key="sk_demo_crosswalk", app_id="demo-app", consumer_id=f"demo-{service}", server_url=GATEWAY).crm

    def has(self, resource):
        return True

    def lacks(self, resource):
        return ()

    def sorts(self, resource):
        return True

    def filters(self, resource, keys):
        return True

    def needed(self, resource, update, fill):
        """The client insists on these keys in every update."""
        return {key: fill(update[key]) for key in ("name", "title", "emails", "type") if key in update and resource not in ("contacts", "notes")}

    def part(self, resource):
        return getattr(self.crm, resource.replace("-", "_"))

    def call(self, method, **given):
        try:
            return method(**given)
        except models.ApideckError as error:
            told = json.loads(error.body)
            known = {400: "BadRequestResponse", 401: "UnauthorizedResponse", 402: "PaymentRequiredResponse", 404: "NotFoundResponse", 422: "UnprocessableResponse"}
            assert type(error).__name__ == known.get(error.status_code, "APIError"), type(error)
            raise Refused(error.status_code, told["type_name"]) from error

    def body(self, response):
        assert response.unexpected_error_response is None, response
        name = [each for each in type(response).model_fields if "_response" in each and each != "unexpected_error_response"]
        found = getattr(response, name[0])
        assert found is not None, response
        return json.loads(found.model_dump_json(by_alias=True))

    def place(self, resource, place):
        return {"list-members": {"id": place}, "custom-objects": {"object_id": place}}.get(resource, {})

    def given(self, body):
        return {"type_" if key == "type" else key: value for key, value in body.items()}

    def pages(self, resource, place, **query):
        if "filter" in query:
            query["filter_"] = query.pop("filter")
        response = self.call(self.part(resource).list, **self.place(resource, place), **query)
        while response is not None:
            yield self.body(response)
            response = self.call(response.next)

    def one(self, resource, id, place):
        return self.body(self.call(self.part(resource).get, **{**self.place(resource, place), "id": id}))

    def create(self, resource, body, place):
        return self.body(self.call(self.part(resource).create, **self.place(resource, place), **self.given(body)))

    def update(self, resource, id, body, place):
        name = "id_param" if resource == "pipelines" else "id"
        return self.body(self.call(self.part(resource).update, **{**self.place(resource, place), name: id}, **self.given(body)))

    def delete(self, resource, id, place):
        return self.body(self.call(self.part(resource).delete, **{**self.place(resource, place), "id": id}))


main("apideck-unify", Client)
