"""Python's email parser compares messages before and after Signet, which it knows nothing about but the names below.

Usage: tree.py MARK DOMAIN FOLDER   NAME.in is what was sent, NAME.out what arrived; MARK is a word of every signature; DOMAIN ends our Content-IDs.
Prints one JSON object a message: {"name", "how": ..., "parts": n, "added": n, "problems": [...]}. `how` says what was found, the farthest that applies:
"unchanged" (below our fields on top), "inserted" (octets were added, every octet of the input is there in order), "recoded" (a body is written in
another charset or encoding; its text only gained).
"""

import email
import json
import os
import re
import sys

OURS = {
    "received", "authentication-results", "arc-seal", "arc-message-signature", "arc-authentication-results", "dkim-signature", "x-signet-loop",
}
CONTENT = {
    "content-type", "content-transfer-encoding", "content-id", "content-description", "content-disposition", "content-location", "content-base",
}
# So many octets in a row say where the input goes on behind an addition; fewer where the next addition follows sooner.
WINDOWS = (64, 32, 16, 8, 4, 2)
# Guesses where it goes on, before a message counts as not contained.
GUESSES = 20000
HOW = ["unchanged", "inserted", "recoded"]
# A field that is no longer true stays under this name, below the one that is written instead.
ORIGINAL = "x-signet-original-"
# Fields and names of fields, text, the wrapper's head, HTML, images, the wrapper's end: more additions than these are no proof of anything.
ADDITIONS = 12


def additions(old: bytes, new: bytes) -> list[bytes] | None:
    """What `new` has more than `old`, which must be in it octet for octet and in order; None when it is not."""
    found, i, j = [], 0, 0
    choices = []  # where a guess was made: input offset, output offset, additions so far, index of the window, where it is looked for next
    for _ in range(GUESSES):
        step = common(old, i, new, j)
        i, j = i + step, j + step
        if i == len(old):
            found += [new[j:]] if j < len(new) else []
            if len(found) <= ADDITIONS:
                return found
        elif len(found) < ADDITIONS:
            choices.append((i, j, len(found), 0, j + 1))
        k = -1
        while k < 0:
            if not choices:
                return None
            i, j, count, index, start = choices.pop()
            found = found[:count]
            k = new.find(old[i : i + WINDOWS[index]], start)
            if k >= 0:
                choices.append((i, j, count, index, k + 1))
            elif index + 1 < len(WINDOWS):
                choices.append((i, j, count, index + 1, j + 1))
        found.append(new[j:k])
        j = k
    return None


def common(old: bytes, i: int, new: bytes, j: int) -> int:
    length = min(len(old) - i, len(new) - j)
    if old[i : i + length] == new[j : j + length]:
        return length
    low, high = 0, length
    while low + 1 < high:
        middle = (low + high) // 2
        if old[i : i + middle] == new[j : j + middle]:
            low = middle
        else:
            high = middle
    return low


def split_top(content: bytes) -> tuple[list[str], bytes]:
    """Our fields on top: their names, and the rest. Received ends the search only when it is not the first."""
    names, at = [], 0
    field = re.compile(rb"([!-9;-~]+)[ \t]*:.*(?:\r\n[ \t].*)*\r\n")
    while match := field.match(content, at):
        name = match.group(1).decode().lower()
        if name not in OURS or (name == "received" and names):
            break
        names.append(name)
        at = match.end()
    return names, content[at:]


class Comparison:
    def __init__(self, mark: bytes, domain: str):
        self.mark = mark
        self.image = re.compile(r"<[\w.-]+\.[0-9a-f]{16}@" + re.escape(domain) + r">")
        self.problems, self.how = [], "unchanged"
        self.parts = self.added = 0
        self.stuffed = self.wrapped = False
        self.texts = []

    def whole(self, old: bytes, out: bytes) -> None:
        self.before, new = self.without_ours(old, out)
        if new == self.before:
            return
        self.found("inserted")
        self.node(email.message_from_bytes(self.before), email.message_from_bytes(new), "root")
        if not any(self.mark in text for text in self.texts):
            self.problems.append("nothing that was added carries the mark")
        # The parser's view and the octets must agree; quoted-printable stuffing is more additions than can be told apart here.
        if self.how == "inserted" and not self.stuffed and additions(self.before, new) is None:
            self.problems.append("octets of the input are missing")

    def found(self, how: str) -> None:
        self.how = max(self.how, how, key=HOW.index)

    def without_ours(self, old: bytes, out: bytes) -> tuple[bytes, bytes]:
        names, rest = split_top(out)
        # The input may begin with fields of the same names.
        theirs, _ = split_top(old)
        tail = out[len(out) - len(rest) :]
        if theirs:
            first = old.split(b"\r\n", 1)[0]
            at = out.find(b"\r\n" + first + b"\r\n")
            if at < 0:
                self.problems.append("the first field of the input is not there")
                return old, tail
            tail = out[at + 2 :]
            names, _ = split_top(out[: at + 2])
        if names[:2] != ["received", "authentication-results"]:
            self.problems.append(f"on top are {names}")
        return old, tail

    def node(self, old, new, where: str) -> None:
        self.parts += 1
        wrapped = new.get_content_type() == "multipart/related" and (new.get_boundary() or "").startswith("=_signet_")
        if wrapped:
            new = self.unwrap(old, new, where)
            if new is None:
                return
        elif old.is_multipart() and new.is_multipart():
            self.headers(self.fields(old), self.fields(new), old, new, where)
        if old.is_multipart() != new.is_multipart() or old.get_content_type() != new.get_content_type():
            self.problems.append(f"{where}: {old.get_content_type()} became {new.get_content_type()}")
            return
        if not old.is_multipart():
            self.leaf(old, new, where)
            return
        for what in ("preamble", "epilogue"):
            if getattr(old, what) != getattr(new, what):
                self.problems.append(f"{where}: the {what} changed")
        children = [child for child in new.get_payload() if not self.is_image(child)]
        self.added += len(new.get_payload()) - len(children)
        if len(children) != len(old.get_payload()):
            self.problems.append(f"{where}: {len(old.get_payload())} parts became {len(children)}")
            return
        for index, (before, after) in enumerate(zip(old.get_payload(), children)):
            self.node(before, after, f"{where}.{index}")

    def unwrap(self, old, new, where: str):
        """The part that our multipart/related was put around."""
        children = new.get_payload()
        if not new.is_multipart() or not all(self.is_image(child) for child in children[1:]):
            self.problems.append(f"{where}: something else than images stands in our multipart/related")
            return None
        self.added += len(children)
        inner = children[0]
        if where == "root":
            self.wrapped = True
            outer = self.fields(new)
            if "Content-Type" not in old:
                outer = [field for field in outer if field[0] != "Content-Type"]
            self.headers(self.fields(old), outer, old, new, where)
            copied = [(name, value) for name, value in self.fields(old) if name.lower() in CONTENT]
            self.headers(copied, self.fields(inner), old, inner, where)
        elif new.keys() != ["Content-Type"]:
            self.problems.append(f"{where}: our multipart/related has fields {new.keys()}")
        return inner

    @staticmethod
    def fields(node) -> list:
        return [(name, str(value)) for name, value in node._headers]

    def headers(self, old: list, new: list, before, after, where: str) -> None:
        """Equal and in order, but for what an edited text needs: fields that were missing, a charset where none was named."""
        new = self.undone(new)
        if "MIME-Version" not in before:
            new = [field for field in new if field != ("MIME-Version", "1.0")]
        needed = ("content-type", "content-transfer-encoding") if before.get_content_maintype() == "text" else ()
        new = [(name, value) for name, value in new if name.lower() not in needed or name in before]
        gained = lambda value: re.sub(r"; charset=utf-8", "", value, count=1)
        same = [a == b or (a[0].lower(), a[1]) == ("content-type", gained(b[1])) == (b[0].lower(), gained(b[1])) for a, b in zip(old, new)]
        if len(old) != len(new) or not all(same):
            self.problems.append(f"{where}: header fields changed")

    @staticmethod
    def undone(fields: list) -> list:
        """The fields as they were before some were superseded."""
        undone = []
        for name, value in fields:
            if name.lower().startswith(ORIGINAL):
                name = name[len(ORIGINAL):]
                if undone and undone[-1][0].lower() == name.lower():
                    undone.pop()
            undone.append((name, value))
        return undone

    def is_image(self, node) -> bool:
        return bool(self.image.fullmatch(str(node.get("Content-ID", "")).strip()))

    def leaf(self, old, new, where: str) -> None:
        raw_old, raw_new = octets(old), octets(new)
        if not self.wrapped or where != "root":
            self.headers(self.fields(old), self.fields(new), old, new, where)
        if raw_old == raw_new:
            return
        if old.get_content_maintype() != "text" or old.get_content_disposition() == "attachment":
            self.problems.append(f"{where}: {old.get_content_type()} changed")
            return
        found = additions(raw_old, unstuffed(old, new, raw_new))
        self.stuffed = self.stuffed or encoding(old) != encoding(new)
        if found is None:
            self.found("recoded")
        if found is None or encoding(new) in ("quoted-printable", "base64"):
            # What the octets mean must have gained only, too; in the charset of each where these differ.
            decoded = lambda node: node.get_payload(decode=True)
            found = additions(decoded(old), decoded(new)) or additions(text(old).encode(), text(new).encode())
        if found is None:
            self.problems.append(f"{where}: the text did not only gain")
        else:
            self.texts.append(b"".join(found))


def encoding(leaf) -> str:
    return str(leaf.get("Content-Transfer-Encoding", "7bit")).strip().lower()


def unstuffed(old, new, raw_new: bytes) -> bytes:
    """Without what makes a text quoted-printable that was not; nothing but removals, so what is found in the rest is in the whole."""
    if encoding(new) != "quoted-printable" or encoding(old) in ("quoted-printable", "base64"):
        return raw_new
    return re.sub(rb"=\r?\n|(?<==)3D", b"", raw_new)


def octets(leaf) -> bytes:
    """As they stand in the message; get_payload() would apply the charset."""
    return leaf._payload.encode("ascii", "surrogateescape") if isinstance(leaf._payload, str) else b""


def text(node) -> str:
    """Decoded; where no charset is named or it is not true, as browsers and mail clients read it."""
    content = node.get_payload(decode=True)
    for charset in (node.get_content_charset() or "ascii", "utf-8"):
        try:
            return content.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return content.decode("cp1252", "replace")


def main() -> None:
    mark, domain, folder = sys.argv[1].encode(), sys.argv[2], sys.argv[3]
    for name in sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".in")):
        read = lambda suffix: open(os.path.join(folder, name + suffix), "rb").read()
        comparison = Comparison(mark, domain)
        try:
            comparison.whole(read(".in"), read(".out"))
        except Exception as error:  # a judge that cannot judge must be heard
            comparison.problems.append(f"the judge failed: {error!r}")
        print(json.dumps({
            "name": name, "how": comparison.how, "parts": comparison.parts, "added": comparison.added, "problems": comparison.problems,
        }))


main()
