#!/usr/bin/env bash
# The contract against the gateway, by a property-based tester: short, and the same calls every time.
exec bash "$(dirname "$0")/schemathesis/run"
