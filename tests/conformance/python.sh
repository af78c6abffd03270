#!/usr/bin/env bash
# The published Python clients of the unified API against the demo.
set -uo pipefail
cd "$(dirname "$0")"
. ./sum

run "$TOOLS/python/bin/python" python/unify.py
run "$TOOLS/python-old/bin/python" python/unify_old.py
finish
