#!/usr/bin/env bash
# Installs what the foreign judges need: verifiers and clients that nobody here wrote. Called by `make judges`; safe to repeat.
# Usage: install.sh VENV
# The message files of CPython's own test suite come with Debian's libpython3.N-testsuite, unless the python3 in use has them.
set -euo pipefail
venv=$1
debian=(swaks opendkim opendkim-tools libjson-perl libnet-dns-perl libmail-dkim-perl postfix openssl python3-venv)
python=(dkimpy==1.1.8 authres==1.2.0 dnspython==2.7.0 pyspf==2.0.14 PyYAML==6.0.2)

if ! python3 -c 'import test.test_email' 2>/dev/null; then
    debian+=("$(apt-cache pkgnames libpython3 | grep -E '^libpython3\.[0-9]+-testsuite$' | sort -V | tail -n 1)")
fi

command -v npm >/dev/null || debian+=(npm)

missing=()
for package in "${debian[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "judges: these Debian packages are missing; install them and repeat: ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    apt-get update -qq
    # A policy of "do not start" keeps the packages from binding ports: the tests start what they need themselves.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
"$venv/bin/python" - "${python[@]}" <<'PY' || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${python[@]}"
import sys
from importlib.metadata import version, PackageNotFoundError
for wanted in sys.argv[1:]:
    name, _, exact = wanted.partition("==")
    try:
        if version(name) != exact:
            sys.exit(1)
    except PackageNotFoundError:
        sys.exit(1)
PY

# Test data that nobody here wrote, as their source distributions carry it: the openspf RFC 7208 suite, messages, and replies.
sources=$venv/sources
mkdir -p "$sources"
for package in pyspf==2.0.14 mail-parser==4.8.0 dkimpy==1.1.8 talon==1.4.4 quotequail==0.5.4; do
    folder=$sources/${package//==/-}
    [ -d "$folder" ] && continue
    download=$(mktemp -d)
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$download" "$package"
    mkdir -p "$folder.part"
    tar -xzf "$download"/*.tar.gz -C "$folder.part" --strip-components 1
    mv "$folder.part" "$folder"
    rm -r "$download"
done
folder=$sources/planer-1.2.0
if [ ! -d "$folder" ]; then
    download=$(mktemp -d)
    (cd "$download" && npm pack --silent planer@1.2.0 >/dev/null)
    mkdir -p "$folder.part"
    tar -xzf "$download"/planer-1.2.0.tgz -C "$folder.part" --strip-components 1
    mv "$folder.part" "$folder"
    rm -r "$download"
fi
