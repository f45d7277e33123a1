#!/usr/bin/env bash
# Runs the judges against the stand-in. Usage: run.sh FOLDER SIGNET_CLOUD [GRAPH_OPENAPI_JSON]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "$1" && pwd)
binary=$2
description=${3:-}
state=$(mktemp -d)
"$binary" --folder "$state" --people 400 --groups 30 --for 5min &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -r "$state"' EXIT
for _ in $(seq 100); do [ -e "$state/cloud.json" ] && break; sleep 0.1; done
# requests prefers these to what it is told in code.
export REQUESTS_CA_BUNDLE=$state/authority.pem SSL_CERT_FILE=$state/authority.pem
(cd "$here" && "$folder/venv/bin/python" judge.py "$state/cloud.json" "$state/tokens.json")
NODE_EXTRA_CA_CERTS=$state/authority.pem node "$here/judge.mjs" "$state/cloud.json" "$folder/node"
if [ -n "$description" ] && [ -e "$description" ]; then
    "$folder/venv/bin/python" "$here/schema.py" "$state/cloud.json" "$state/tokens.json" "$description"
else
    echo "skip jsonschema: no API description at ${description:-(none given)}"
fi
