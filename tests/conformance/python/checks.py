"""Counts checks that hold and checks that do not."""

import contextlib
import json
import os
import sys
import traceback
import urllib.request

GATEWAY = os.environ["GATEWAY"]
MOCK = os.environ["MOCK"]
SERVICES = ["hubspot", "pipedrive"]
RECORDS = 2000

_count = {"passed": 0, "failed": 0}


@contextlib.contextmanager
def check(name):
    """One check: it holds unless its block raises."""
    try:
        yield
    except Exception:
        _count["failed"] += 1
        print(f"FAILED: {name}")
        traceback.print_exc(limit=4, file=sys.stdout)
    else:
        _count["passed"] += 1


@contextlib.contextmanager
def raises(kind, **expected):
    """The block must raise that error; its attributes are compared, `data__x` being an attribute of an attribute."""
    try:
        yield
    except kind as error:
        assert type(error) is kind, f"{type(error)} is not {kind}"
        for path, value in expected.items():
            found = error
            for name in path.split("__"):
                found = getattr(found, name)
            assert found == value, f"{path}: {found!r} is not {value!r}"
    else:
        raise AssertionError(f"no {kind.__name__}")


def done():
    """Prints the sum and ends the program."""
    print(f"{_count['passed']} passed, {_count['failed']} failed")
    sys.exit(1 if _count["failed"] else 0)


def mock(method, path, body=None):
    """A call of the mock's controls."""
    request = urllib.request.Request(f"{MOCK}/__mock/{path}", method=method)
    request.add_header("content-type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as reply:
        return json.load(reply)
