#!/bin/sh
# The demo, connected to the stand-in for Microsoft's cloud: demo.sh FOLDER-OF-PROGRAMS OUTPUT [TIME-FOR-A-PERSON]
# With a time, whoever opens the console in a browser connects the tenant; without one, an administrator is played.
set -eu
programs=$1 output=$2 person=${3:-}
folder=$output/cloud
rm -rf "$folder"
mkdir -p "$folder"
"$programs/signet-cloud" --folder "$folder" --for 2h > "$folder/log.txt" 2>&1 &
cloud=$!
trap 'kill "$cloud" 2>/dev/null || true' EXIT INT TERM
tries=0
while [ ! -f "$folder/cloud.json" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$cloud" 2>/dev/null; then
        cat "$folder/log.txt"
        exit 1
    fi
    sleep 0.2
done
if [ -n "$person" ]; then
    "$programs/signet" demo --output "$output" --cloud "$folder/cloud.json" --browser "$person"
else
    "$programs/signet" demo --output "$output" --cloud "$folder/cloud.json"
fi
