#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CEE/CAVA server whose verdicts, delays and faults are files.

    fake_cee.py --listen ADDRESS:PORT --dir DIR [--user U --password P]
                [--tls PEM]

prints "listening on ADDRESS:PORT" when it is ready (port 0 = a free one) and
serves until it is killed. It needs nothing but Python and, for "fetch yes",
smbclient. DIR holds:

  rules/NAME     what to do with a file of that name (the last part of the
                 UNC path); read anew for each request. rules/default is for
                 all others; without it they are clean. rules/@heartbeat is
                 for heartbeats; without it they are answered well.
  log.jsonl      one JSON object for each request, written when it arrives:
                 time, kind (scan, heartbeat, other), method, path, unc,
                 scan_id, size, timeout, peer, peer_port, and what was
                 in Args
  peak           most requests that were in progress at a time
  connections    most connections that were open at a time

A rule is lines of one word and sometimes more. At most one says the answer:

  clean              status 0x0, with a ScanResponse
  infected THREAT    status 0x9
  status 0x5 [TEXT]  any status, with a detail for people
  limit              over a limit of the engine
  bare 0x0           a CheckFileResponse with nothing in it
  wrong-id           clean, but of another scan
  heartbeat          the reply to a heartbeat
  garbage            HTTP 200 with something that is not XML
  not-http           something that is not HTTP
  empty              HTTP 200 without a body
  long               a body that never seems to end
  truncated          half of the body, then the connection is closed
  500                any three digits: that HTTP status
  redirect           302 to / of this server
  close              the connection is closed without an answer
  hang               no answer for as long as the client waits
  slow-drip          a byte of the answer each 100 ms
  header-drip        the same with the headers
  endless            chunks of a body, without an end
  headers            headers, without an end
  wrong-type         a clean answer as text/html
  charset            the same in UTF-32, which no reader knows
  gzip               the same compressed, which nobody asked for
  deep               elements in elements, a thousand of them
  entities           a detail that would grow to gigabytes
  external           a detail that is a file of the reader's
  bad-chunk          a chunk of a length that is no number
  two-lengths        two different Content-Lengths
  early              a clean answer of the next scan as well, at once

and these come before it:

  delay SECONDS
  wait PATH          until PATH exists
  fetch yes          read the file through the UNC path; when that fails the
                     answer is 0x3 or 0x4 instead

And vendor TEXT, signature SECONDS, version TEXT change what is said.
"""

import argparse
import base64
import binascii
import gzip
import http.server
import json
import os
import re
import select
import socketserver
import ssl
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

HEARTBEAT_ACTION = 9
SUCCESS, NOT_FOUND, DENIED, FAIL, INFECTED = 0x0, 0x3, 0x4, 0x5, 0x9


def name_decode(text):
    """Args/@name: base64 of UTF-16LE; what is not is taken as it is."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError):
        return text


class Rule:
    def __init__(self, text):
        self.verdict, self.rest = "clean", ""
        self.settings = {}
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word in ("delay", "wait", "fetch", "vendor", "signature",
                        "version"):
                self.settings[word] = rest.strip()
            elif word:
                self.verdict, self.rest = word, rest.strip()

    def get(self, name, default=""):
        return self.settings.get(name, default)


class Peak:
    """Counts up and down; keeps the most in a file."""

    def __init__(self, path):
        self.path, self.now, self.most = path, 0, 0
        self.lock = threading.Lock()

    def enter(self):
        with self.lock:
            self.now += 1
            if self.now > self.most:
                self.most = self.now
                with open(self.path + ".new", "w") as out:
                    out.write("%d\n" % self.most)
                os.rename(self.path + ".new", self.path)

    def leave(self):
        with self.lock:
            self.now -= 1

    def __enter__(self):
        self.enter()

    def __exit__(self, *_):
        self.leave()


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake CEE"
    disable_nagle_algorithm = True
    in_progress = False

    def handle(self):
        with self.server.connections:
            try:
                super().handle()
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.reply(b"")

    def do_GET(self):
        self.reply(b'<CEE version="9.3.0.0"></CEE>\n')

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        self.server.requests.enter()
        self.in_progress = True
        try:
            self.exchange(body)
        finally:
            self.answered()

    def answered(self):
        """Before the client can know, since it then sends the next one."""
        if self.in_progress:
            self.in_progress = False
            self.server.requests.leave()

    do_PUT = do_POST

    # What was asked.

    def exchange(self, body):
        utf16 = body[1:2] == b"\0"
        self.charset = "utf-16-le" if utf16 else "utf-8"
        args, scan_args = {}, {}
        try:
            root = ElementTree.fromstring(body.decode(self.charset))
            for element in root.iter():
                if element.tag == "Args":
                    args = element.attrib
                elif element.tag == "ScanArgs":
                    scan_args = element.attrib
        except (ElementTree.ParseError, UnicodeDecodeError):
            self.reply(b"", 400)
            return
        heartbeat = int(args.get("action", "0"), 0) == HEARTBEAT_ACTION
        name = name_decode(args.get("name", ""))
        scan = bool(scan_args)
        entry = dict(args)
        entry.update({
            "time": time.time(), "method": self.command, "path": self.path,
            "kind": "heartbeat" if heartbeat else
                    "scan" if scan else "other",
            "name": name, "peer": self.client_address[0],
            "peer_port": self.client_address[1],
        })
        if scan:
            entry.update({"unc": name, "scan_id": int(scan_args["id"]),
                          "size": int(scan_args.get("size", "0")),
                          "timeout": int(scan_args.get("timeout", "0"))})
        self.server.log(entry)
        if heartbeat:
            self.act(self.server.rule("@heartbeat", None), 0, None)
        elif scan:
            self.act(self.server.rule(name.rsplit("\\", 1)[1], "default"),
                     entry["scan_id"], name)
        else:
            self.reply(b"", 400)

    # What is done.

    def act(self, rule, scan_id, unc):
        time.sleep(float(rule.get("delay", "0")))
        while rule.get("wait") and not os.path.exists(rule.get("wait")):
            if self.client_gone(0.02):
                self.close_connection = True
                return
        got = None
        if rule.get("fetch") == "yes":
            got, status, why = self.server.fetch(unc)
            if got is None:
                rule = Rule("status 0x%x %s" % (status, why))
        if self.fault(rule, scan_id):
            return
        self.reply(self.answer(rule, scan_id, unc, got or 0))

    def client_gone(self, seconds):
        """Has the client closed within that time? It sends nothing now."""
        ready, _, _ = select.select([self.connection], [], [], seconds)
        return bool(ready)

    def fault(self, rule, scan_id):
        """True when the rule is a fault, and it was done."""
        verdict = rule.verdict
        if verdict == "hang":
            while not self.client_gone(60):
                pass
            self.close_connection = True
        elif verdict == "close":
            self.close_connection = True
        elif verdict == "not-http":
            self.answered()
            self.wfile.write(b"SSH-2.0-something else\r\n")
            self.close_connection = True
        elif verdict == "garbage":
            self.reply(b"<html><p>this is fine</html>")
        elif verdict == "empty":
            self.reply(b"")
        elif verdict == "long":
            self.reply(b" " * 1000000)
        elif verdict == "truncated":
            body = self.response(SUCCESS, "")
            self.head(200, len(body))
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif verdict == "redirect":
            self.reply(b"", 302, {"Location": "/"})
        elif re.fullmatch("[0-9]{3}", verdict):
            self.reply(self.response(SUCCESS, ""), int(verdict))
        elif verdict == "slow-drip":
            body = self.response(SUCCESS, "")
            self.head(200, len(body))
            self.drip(body)
        else:
            return self.hostile(verdict, scan_id)
        return True

    def drip(self, data):
        for i in range(len(data)):
            self.wfile.write(data[i:i + 1])
            if self.client_gone(0.1):
                break
        self.close_connection = True

    def flood(self, head, data):
        """Without an end, until the client has enough."""
        self.answered()
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + head)
        self.close_connection = True
        while not self.client_gone(0):
            self.wfile.write(data)

    def hostile(self, verdict, scan_id):
        """As fault(), for answers that no honest server gives."""
        clean = self.answer(Rule("clean"), scan_id, "", 0)
        entity = '<!DOCTYPE a [%s]>\n' + clean.decode(self.charset).replace(
            " />", ' detail="&z;" />')
        xml = b"Content-Type: text/xml\r\n"
        if verdict == "header-drip":
            self.drip(b"HTTP/1.1 200 OK\r\n" + b"X-More: 1\r\n" * 10000)
        elif verdict == "headers":
            self.flood(b"", b"X-More: %s\r\n" % (b"1" * 1000))
        elif verdict == "endless":
            self.flood(xml + b"Transfer-Encoding: chunked\r\n\r\n",
                       b"400\r\n" + b" " * 1024 + b"\r\n")
        elif verdict == "wrong-type":
            self.reply(clean, 200, {}, "text/html")
        elif verdict == "charset":
            self.reply(clean.decode(self.charset).encode("utf-32"))
        elif verdict == "gzip":
            self.reply(gzip.compress(clean + b" " * 10000000), 200,
                       {"Content-Encoding": "gzip"})
        elif verdict == "deep":
            self.reply(clean.replace(b"</Check", b"<a>" * 1000 +
                                     b"</a>" * 1000 + b"</Check"))
        elif verdict == "entities":
            steps = ['<!ENTITY a "aaaaaaaaaa">'] + [
                '<!ENTITY %c "%s">' % (98 + i, ("&%c;" % (97 + i)) * 10)
                for i in range(25)]
            self.reply((entity % "".join(steps)).encode(self.charset))
        elif verdict == "external":
            self.reply((entity % '<!ENTITY z SYSTEM "file:///etc/passwd">')
                       .encode(self.charset))
        elif verdict == "bad-chunk":
            self.answered()
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + xml +
                             b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" +
                             clean)
            self.close_connection = True
        elif verdict == "two-lengths":
            self.answered()
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + xml +
                             b"Content-Length: %d\r\nContent-Length: 10"
                             b"\r\n\r\n" % len(clean) + clean)
        elif verdict == "early":
            following = self.answer(Rule("clean"), scan_id + 1, "", 0)
            self.reply(b"<nothing/>")
            self.reply(following)
        else:
            return False
        return True

    def answer(self, rule, scan_id, unc, got):
        verdict, rest = rule.verdict, rule.rest
        if verdict == "bare":
            return self.response(int(rest, 0), "")
        if verdict == "heartbeat" or unc is None:
            status = int(rest.split()[0], 0) if verdict == "status" else 0
            return self.response(status, self.heartbeat(rule))
        extra = {"id": str(scan_id), "bytes": str(got),
                 "avVendor": rule.get("vendor", "Fake 1.0"),
                 "signatureTime": rule.get("signature", "1700000000")}
        status = SUCCESS
        if verdict == "infected":
            status = INFECTED
            extra["threat"] = rest
        elif verdict == "limit":
            status = FAIL
            extra["limit"] = "1"
        elif verdict == "wrong-id":
            extra["id"] = str(scan_id + 1)
        elif verdict == "status":
            number, _, text = rest.partition(" ")
            status = int(number, 0)
            extra["detail"] = text
        elif verdict != "clean":
            raise SystemExit("fake_cee: no such rule: " + verdict)
        inner = "  <ScanResponse %s />\n" % " ".join(
            "%s=%s" % (k, quoteattr(v)) for k, v in extra.items())
        return self.response(status, inner)

    # How it is said.

    def heartbeat(self, rule):
        return ('  <HeartBeatResponse ceeVersion=%s dtdVersion="2.5.3" '
                'avVendor=%s signatureTime=%s>\n'
                '    <CEPPHeartBeatResponse>\n'
                '    </CEPPHeartBeatResponse>\n'
                '  </HeartBeatResponse>\n' % (
                    quoteattr(rule.get("version", "9.3.0.0")),
                    quoteattr(rule.get("vendor", "Fake 1.0")),
                    quoteattr(rule.get("signature", "1700000000"))))

    def response(self, status, inner):
        if not inner:
            text = '<CheckFileResponse status="0x%x" />\n' % status
        else:
            text = ('<CheckFileResponse status="0x%x" ceeVersion="9.3.0.0">\n'
                    '%s</CheckFileResponse>\n' % (status, inner))
        return text.encode(self.charset)

    def head(self, status, length, headers=None,
             kind="text/xml; charset=utf-8"):
        self.answered()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, body, status=200, headers=None, *kind):
        self.head(status, len(body), headers, *kind)
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, directory, user, password, tls):
        self.directory, self.user, self.password = directory, user, password
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(tls)
        self.lock = threading.Lock()
        self.requests = Peak(os.path.join(directory, "peak"))
        self.connections = Peak(os.path.join(directory, "connections"))
        super().__init__(address, Request)

    def get_request(self):
        sock, address = super().get_request()
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True,
                                        do_handshake_on_connect=False)
        return sock, address

    def handle_error(self, request, client_address):
        pass    # a client that went away

    def log(self, entry):
        line = json.dumps(entry) + "\n"
        with self.lock:
            with open(os.path.join(self.directory, "log.jsonl"), "a") as out:
                out.write(line)

    def rule(self, name, default):
        for candidate in (name, default):
            if candidate is None:
                continue
            try:
                with open(os.path.join(self.directory, "rules",
                                       candidate)) as rule:
                    return Rule(rule.read())
            except (OSError, ValueError):
                continue
        return Rule("clean")

    def fetch(self, unc):
        """(bytes read, 0, "") or (None, status, why)."""
        host, share, path = unc[2:].split("\\", 2)
        done = subprocess.run(
            ["smbclient", "--configfile=/dev/null", "-m", "SMB3",
             "-U", "%s%%%s" % (self.user, self.password),
             "//%s/%s" % (host, share), "-c",
             'get "\\%s" /dev/stdout' % path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        text = (done.stderr + done.stdout[:4096]).decode("utf-8", "replace")
        if done.returncode == 0:
            return len(done.stdout), SUCCESS, ""
        why = re.search("NT_STATUS_[A-Z_]+", text)
        why = why.group(0) if why else text.strip()[:200]
        missing = "NOT_FOUND" in why or "NO_SUCH_FILE" in why
        return None, NOT_FOUND if missing else DENIED, why


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--tls", metavar="PEM", help="certificate and key")
    options = parser.parse_args()
    address, _, port = options.listen.rpartition(":")
    os.makedirs(os.path.join(options.dir, "rules"), exist_ok=True)
    server = Server((address, int(port)), options.dir, options.user,
                    options.password, options.tls)
    print("listening on %s:%d" % server.server_address[:2], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
