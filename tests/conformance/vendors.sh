#!/usr/bin/env bash
# The vendors' own published clients against the mock CRMs alone: what the gateway is tested against must hold for them.
set -uo pipefail
cd "$(dirname "$0")"
. ./sum

run "$TOOLS/python/bin/python" python/hubspot_client.py
run node node/hubspot.mjs
run node node/pipedrive.mjs
finish
