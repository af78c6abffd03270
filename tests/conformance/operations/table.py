"""Prints resource x operation x connector x client from what the runs kept. The argument is their folder."""

import json
import pathlib
import sys

from operations import ALL, DATA, VERBS

order = ["apideck-unify", "apideck", "@apideck/unify", "@apideck/unify 0.32", "@apideck/node"]
runs = {run["client"]: run["cells"] for run in (json.loads(path.read_text()) for path in pathlib.Path(sys.argv[1]).glob("*.json"))}
clients = [each for each in order if each in runs]
print(f"\n{'':30}" + "".join(f"{each:>21}" for each in clients))
missing = 0
for service in ("hubspot", "pipedrive"):
    for resource in DATA["order"]:
        for verb in [each for each in ALL if each in VERBS.get(resource, ALL)]:
            cells = []
            for client in clients:
                whole = any(name.startswith(f"{resource}.") for name in runs[client][service])
                # A client of before lists and custom objects lacks them.
                cells.append(runs[client][service].get(f"{resource}.{verb}", "MISSING" if whole else "–"))
            missing += cells.count("MISSING")
            print(f"{service + ' ' + resource + '.' + verb:38}"[:38] + "".join(f"{each:>21}" for each in cells)[8:])
print("(unsupported: refused at once with the typed 501; –: the client has no such resource)\n")
called = [cell for cells in runs.values() for of in cells.values() for cell in of.values()]
good = sum(cell in ("pass", "unsupported") for cell in called)
print(f"{good} of {len(called)} operations of clients as expected, {called.count('unsupported')} of them refused")
if missing or set(clients) != set(order):
    print(f"{missing} operations were not called; clients: {', '.join(clients)}")
    sys.exit(1)
