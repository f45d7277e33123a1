#!/usr/bin/env bash
# Installs the clients that judge the stand-in for Microsoft's cloud, which nobody here wrote. Called by `make cloud-judges`; safe to repeat.
# Usage: install.sh FOLDER
set -euo pipefail
folder=$1
python=(msal==1.39.0 msgraph-sdk==1.65.0 requests==2.32.5 jsonschema==4.26.0 rfc3339-validator==0.1.4 PyJWT==2.10.1)
node=(@azure/msal-node@7.2.1)

mkdir -p "$folder"
command -v npm >/dev/null || { echo "cloud-judges: npm is missing; install Node.js 20 or newer and repeat" >&2; exit 1; }
[ -x "$folder/venv/bin/python" ] || python3 -m venv "$folder/venv"
stamp=$folder/installed
wanted="${python[*]} ${node[*]}"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${python[@]}"
    npm install --silent --no-audit --no-fund --prefix "$folder/node" "${node[@]}"
    echo "$wanted" >"$stamp"
fi
