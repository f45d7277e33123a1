"""dkimpy's opinion of every DKIM signature that is ours and of the newest ARC set.

Usage: dkimpy.py KEYS.json DOMAIN FILE...   KEYS.json maps a DNS name to its TXT record.
Prints one JSON object a file: {"file": ..., "dkim": ["pass" | "fail: why", ...], "arc": "pass" | ...}
"""

import json
import sys

import dkim


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        keys = json.load(file)
    ours = sys.argv[2].encode()

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        record = keys.get(name.decode().rstrip(".").lower())
        return record.encode() if record else None

    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            content = file.read()
        verdicts = []
        try:
            verifier = dkim.DKIM(content, minkey=1024)
        except dkim.MessageFormatError as error:
            print(json.dumps({"file": path, "dkim": [f"fail: {error}"], "arc": f"fail: {error}", "comment": ""}))
            continue
        fields = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
        for index, value in enumerate(fields):
            tags = dkim.util.parse_tag_value(value)
            if tags.get(b"d") != ours:
                continue
            try:
                verdicts.append("pass" if verifier.verify(idx=index, dnsfunc=txt) else "fail")
            except Exception as error:  # a judge's own exception is a verdict, too
                verdicts.append(f"fail: {error}")
        chain, _, comment = dkim.ARC(content, minkey=1024).verify(dnsfunc=txt)
        arc = chain.decode() if isinstance(chain, bytes) else "none"
        print(json.dumps({"file": path, "dkim": verdicts, "arc": arc, "comment": str(comment)}))


main()
