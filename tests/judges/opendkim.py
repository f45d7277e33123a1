"""OpenDKIM's opinion of every DKIM signature that is ours; it knows no ARC.

Usage: opendkim.py KEYS.json DOMAIN FILE...   KEYS.json maps a DNS name to its TXT record.
Prints one JSON object a file: {"file": ..., "dkim": ["pass" | "fail: why"]}
OpenDKIM judges all DKIM signatures of a message together, so each message is shown to it with ours only.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

FIELD = re.compile(rb"(?im)^dkim-signature:(?:.*\r\n)(?:[ \t].*\r\n)*")


def only_ours(content: bytes, domain: bytes) -> tuple[bytes, int]:
    header, separator, body = content.partition(b"\r\n\r\n")
    header += b"\r\n"
    count = 0

    def keep(match: re.Match) -> bytes:
        nonlocal count
        tags = re.sub(rb"\s+", b"", match.group(0).split(b":", 1)[1])
        if re.search(rb"(^|;)d=" + re.escape(domain) + rb"(;|$)", tags):
            count += 1
            return match.group(0)
        return b""

    return FIELD.sub(keep, header) + separator[2:] + body, count


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        keys = json.load(file)
    domain = sys.argv[2].encode()
    with tempfile.TemporaryDirectory() as folder:
        records, configuration = os.path.join(folder, "records"), os.path.join(folder, "opendkim.conf")
        with open(records, "w", encoding="utf-8") as file:
            file.writelines(f"{name} {value}\n" for name, value in keys.items())
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"TestDNSData file:{records}\nMode v\nMinimumKeyBits 1024\nUserID root\n")
        for path in sys.argv[3:]:
            with open(path, "rb") as file:
                content, count = only_ours(file.read(), domain)
            if count == 0:
                print(json.dumps({"file": path, "dkim": []}))
                continue
            message = os.path.join(folder, "message")
            with open(message, "wb") as file:
                file.write(content)
            run = subprocess.run(["opendkim", "-x", configuration, "-t", message, "-v"], capture_output=True, text=True, timeout=60)
            said = (run.stdout + run.stderr).strip()
            good = run.returncode == 0 and "verification (s=" in said and "succeeded" in said
            verdicts = ["pass" if good else f"fail: {said}"] * count
            print(json.dumps({"file": path, "dkim": verdicts}))


main()
