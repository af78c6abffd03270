#!/usr/bin/env bash
# The documents of openapi/ by the tools of others: a validator of OpenAPI 3.1 and a linter.
set -uo pipefail
cd "$(dirname "$0")"
. ./sum

# The linter would tell its maker that it ran, and look for a newer version of itself.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true

# says COMMAND...: one check, quiet unless it fails
says() {
  local log
  if log=$("$@" 2>&1); then
    echo "1 passed, 0 failed"
  else
    tail -n 60 <<<"$log"
    echo "0 passed, 1 failed"
    return 1
  fi
}

for document in crm vault connector; do
  run says "$TOOLS/python-schemathesis/bin/openapi-spec-validator" "../../openapi/$document.yaml"
  run says "$TOOLS/node/node_modules/.bin/redocly" lint --extends recommended "../../openapi/$document.yaml"
done
finish
