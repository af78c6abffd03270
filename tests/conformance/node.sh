#!/usr/bin/env bash
# The published JavaScript clients of the unified API against the demo.
set -uo pipefail
cd "$(dirname "$0")"
. ./sum

run node node/unify.mjs @apideck/unify
run node node/unify.mjs apideck-unify-strict
run node node/unify_old.mjs
finish
