#!/usr/bin/env bash
# Every operation of every published client on every connector, and the table of them.
set -uo pipefail
cd "$(dirname "$0")"
. ./sum

CELLS=$(mktemp -d)
export CELLS
trap 'rm -rf "$CELLS"' EXIT
python=$TOOLS/python/bin/python

run "$python" operations/unify.py
run "$TOOLS/python-old/bin/python" operations/unify_old.py
run "$python" operations/node.py @apideck/unify
run "$python" operations/node.py apideck-unify-strict "@apideck/unify 0.32"
run "$python" operations/node.py @apideck/node
PYTHONDONTWRITEBYTECODE=1 "$python" operations/table.py "$CELLS" || failed=$((failed + 1))
finish
