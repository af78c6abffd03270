"""A client in another language: a program that answers lines of JSON (see lines.mjs)."""

import json
import subprocess

from operations import Refused


class Remote:
    """Speaks to one program, which speaks to one client."""

    def __init__(self, command, service):
        self.program = subprocess.Popen([*command, service], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.knows = self.ask(do="knows")
        self.custom_field_ids = self.knows.get("custom_field_ids", False)

    def ask(self, **what):
        self.program.stdin.write(json.dumps(what) + "\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        assert line, "the client's program has ended"
        told = json.loads(line)
        if "refused" in told:
            raise Refused(told["refused"]["status"], told["refused"]["type_name"])
        assert "failed" not in told, told.get("failed")
        return told["answer"]

    def has(self, resource):
        return resource in self.knows["resources"]

    def lacks(self, resource):
        return self.knows.get("lacks", {}).get(resource, ())

    def sorts(self, resource):
        return True

    def filters(self, resource, keys):
        return True

    def needed(self, resource, update, fill):
        keys = self.knows["needed"].get(resource, [])
        return {key: fill(update[key]) for key in keys if key in update}

    def pages(self, resource, place, **query):
        number = self.ask(do="pages", resource=resource, place=place, query=query)
        while (page := self.ask(do="next", number=number)) is not None:
            yield page

    def one(self, resource, id, place):
        return self.ask(do="one", resource=resource, id=id, place=place)

    def create(self, resource, body, place):
        return self.ask(do="create", resource=resource, body=body, place=place)

    def update(self, resource, id, body, place):
        return self.ask(do="update", resource=resource, id=id, body=body, place=place)

    def delete(self, resource, id, place):
        return self.ask(do="delete", resource=resource, id=id, place=place)
