"""Drives the openspf RFC 7208 suite through a running Signet, and serves its zones.

Usage: spf_suite.py SUITE.yml
Prints {"dns": PORT, "sink": PORT} and waits for a line with Signet's port on standard input. Then, for each case: connects with a PROXY v2
header that names the case's client address, sends the case's EHLO and MAIL FROM and a small message, and reads the SPF result from
the Authentication-Results field that arrived at the sink (a plaintext next hop inside this program).
Prints one JSON object a case: {"group", "case", "expected": [...], "got": ...}; "got" is "refused: CODE TEXT" when a command was refused.
"""

import ipaddress
import json
import re
import socket
import socketserver
import struct
import sys
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import yaml

ZONE: dict = {}
RECEIVED: list = []


def load(path: str) -> list:
    with open(path, encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def normal(name: str) -> str:
    return name.rstrip(".").lower()


def zone_of(group: dict) -> dict:
    """The suite's zone data; a name with SPF records and without TXT records gets the same as TXT, as the suite's rules say."""
    zone = {}
    for name, entries in group.get("zonedata", {}).items():
        records = list(entries)
        typed = [entry for entry in records if isinstance(entry, dict)]
        kinds = {kind for entry in typed for kind in entry}
        if "SPF" in kinds and "TXT" not in kinds:
            records = [copy for entry in records for copy in ([entry, {"TXT": entry["SPF"]}] if isinstance(entry, dict) and "SPF" in entry else [entry])]
        zone[normal(name)] = records
    return zone


def octets_of(text: str) -> bytes:
    """The suite writes octets as characters; what is no octet is UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def wire_name(name: str) -> bytes:
    """A domain name as it stands in a record, however unfit for a zone file."""
    labels = [octets_of(label)[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def rdata_wire(kind: str, value) -> bytes:
    if kind in ("TXT", "SPF"):
        strings = [octets_of(text) for text in (value if isinstance(value, list) else [value])]
        chunks = [octets[at : at + 255] for octets in strings for at in range(0, max(len(octets), 1), 255)] or [b""]
        return b"".join(bytes([len(chunk)]) + chunk for chunk in chunks)
    if kind == "MX":
        return struct.pack("!H", value[0]) + wire_name(str(value[1]))
    if kind in ("PTR", "CNAME"):
        return wire_name(str(value))
    return ipaddress.ip_address(str(value)).packed


def text_of(name: dns.name.Name) -> str:
    return b".".join(label for label in name.labels if label).decode("latin-1").lower()


def answer(query: dns.message.Message) -> dns.message.Message | None:
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA | dns.flags.RA
    name, seen = question.name, set()
    while True:
        entries = ZONE.get(text_of(name))
        if entries is None:
            if not response.answer:
                response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        cname = next((entry["CNAME"] for entry in entries if isinstance(entry, dict) and "CNAME" in entry), None)
        for entry in entries:
            if entry == "TIMEOUT":
                return None if not response.answer else response
            if not isinstance(entry, dict):
                continue
            for entry_kind, value in entry.items():
                if entry_kind == kind and value != "NONE" and value != "TIMEOUT":
                    octets = rdata_wire(entry_kind, value)
                    rdata = dns.rdata.from_wire(dns.rdataclass.IN, question.rdtype, octets, 0, len(octets))
                    rrset = response.find_rrset(response.answer, name, dns.rdataclass.IN, question.rdtype, create=True)
                    rrset.add(rdata, 0)
                elif entry_kind == kind and value == "TIMEOUT":
                    return None
        if cname is None or kind == "CNAME" or name in seen:
            return response
        seen.add(name)
        target, _ = dns.name.from_wire(wire_name(cname), 0)
        response.answer.append(dns.rrset.from_text(name, 0, "IN", "CNAME", target.to_text()))
        name = target


class Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        octets, server = self.request
        response = answer(dns.message.from_wire(octets))
        if response is not None:
            server.sendto(response.to_wire(max_size=1232), self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while len(length := self.rfile.read(2)) == 2:
            response = answer(dns.message.from_wire(self.rfile.read(struct.unpack("!H", length)[0])))
            if response is None:
                return
            wire = response.to_wire()
            self.wfile.write(struct.pack("!H", len(wire)) + wire)


class Sink(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 sink.example ESMTP\r\n")
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper()
            if verb == b"EHLO":
                self.wfile.write(b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n")
            elif verb == b"BDAT":
                RECEIVED.append(self.rfile.read(int(line.split()[1])))
                self.wfile.write(b"250 2.0.0 ok\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 2.0.0 bye\r\n")
                return
            else:
                self.wfile.write(b"250 2.0.0 ok\r\n")


class Client:
    """One SMTP connection that begins with a PROXY v2 header."""

    def __init__(self, port: int, address: str):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        source = ipaddress.ip_address(address)
        if source.version == 4:
            body, family = source.packed + ipaddress.ip_address("192.0.2.1").packed, 0x11
        else:
            body, family = source.packed + ipaddress.ip_address("2001:db8::1").packed, 0x21
        body += struct.pack("!HH", 30000, 25)
        self.socket.sendall(b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, family]) + struct.pack("!H", len(body)) + body)

    def reply(self) -> str:
        text = ""
        while True:
            line = self.file.readline().decode("utf-8", "replace")
            text += line
            if len(line) < 4 or line[3] != "-":
                return text.strip()

    def command(self, line: str) -> str:
        self.socket.sendall(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.reply()

    def run(self, helo: str, mailfrom: str) -> str:
        steps = [
            ("220", None),
            ("250", f"EHLO {helo}"),
            ("250", f"MAIL FROM:<{mailfrom}>"),
            ("250", "RCPT TO:<sink@recipient.example>"),
            ("354", "DATA"),
            ("250", f"From: <{'postmaster@' + helo if not mailfrom else mailfrom}>\r\nX-Suite: openspf\r\nMessage-ID: <1@suite.example>\r\n\r\nspf\r\n."),
        ]
        for code, line in steps:
            said = self.reply() if line is None else self.command(line)
            if not said.startswith(code):
                return f"refused: {said}"
        self.command("QUIT")
        self.socket.close()
        return "ok"


def verdict(content: bytes, mailfrom: str) -> str:
    header = content.split(b"\r\n\r\n")[0].decode("utf-8", "replace")
    unfolded = re.sub(r"\r\n[ \t]+", " ", header)
    for line in unfolded.split("\r\n"):
        if line.lower().startswith("authentication-results:"):
            wanted = "smtp.mailfrom" if mailfrom else "smtp.helo"
            for result in line.split(";")[1:]:
                found = re.match(r"\s*spf=(\w+)", result)
                if found and wanted in result:
                    return found.group(1)
            found = re.search(r"spf=(\w+)", line)
            return found.group(1) if found else "no spf result"
    return "no Authentication-Results"


def name_servers() -> tuple:
    """One port for both; the one that UDP gets may be taken for TCP."""
    while True:
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
        try:
            return udp, socketserver.ThreadingTCPServer(("127.0.0.1", udp.server_address[1]), Tcp)
        except OSError:
            udp.server_close()


def main() -> None:
    groups = load(sys.argv[1])
    # dnspython mixes the records of an answer; here every run is to be the same.
    dns.rdataset.random.shuffle = lambda records: None
    socketserver.ThreadingUDPServer.allow_reuse_address = True
    dns_udp, dns_tcp = name_servers()
    sink = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink)
    for server in (dns_udp, dns_tcp, sink):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"dns": dns_udp.server_address[1], "sink": sink.server_address[1]}), flush=True)
    port = int(sys.stdin.readline())
    for group in groups:
        ZONE.clear()
        ZONE.update(zone_of(group))
        for name, case in group["tests"].items():
            expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
            RECEIVED.clear()
            mailfrom = case.get("mailfrom", "") or ""
            got = Client(port, case["host"]).run(str(case["helo"]), mailfrom)
            if got == "ok":
                got = verdict(RECEIVED[-1], mailfrom) if RECEIVED else "nothing arrived"
            print(json.dumps({"group": group["description"], "case": name, "expected": expected, "got": got}), flush=True)


main()
