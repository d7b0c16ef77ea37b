"""Starts Stonechat and uses it as two people would; nothing but Python's own library.

smoke.py COMMAND… : the program, with whatever it has to run under before it.
Two accounts, two logins over TLS (RFC 6120, RFC 7590 direct TLS), a message (RFC 6121), an archive query (XEP-0313),
SIGKILL, a second start: the message must still be there.
"""

import base64
import os
import queue
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

# Emulated processors are slow, and so is a busy machine; a server that hangs is still noticed.
ANSWER_SECONDS_MAX = float(os.environ.get("SMOKE_SECONDS", "60"))
CLIENT = "{jabber:client}"
MAM = "{urn:xmpp:mam:2}"
FORWARD = "{urn:xmpp:forward:0}"
STREAMS = "{http://etherx.jabber.org/streams}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
BIND = "{urn:ietf:params:xml:ns:xmpp-bind}"


class Failed(Exception):
    """What should have happened and did not."""


class Server:
    """The program, started on a data directory with ports of its own choice."""

    def __init__(self, command, data):
        arguments = ["--data", data, "--domain", "localhost"]
        arguments += ["--c2s", "127.0.0.1:0", "--c2s-tls", "127.0.0.1:0"]
        began = time.monotonic()
        self.said = []
        self.lines = queue.Queue()
        self.process = subprocess.Popen(
            command + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self.read_lines, daemon=True).start()
        self.port = self.find_port()
        self.start_seconds = time.monotonic() - began

    def read_lines(self):
        for line in self.process.stdout:
            self.lines.put(line.decode("utf-8", "replace").rstrip())
        self.lines.put(None)

    def find_port(self):
        """The addresses are printed; which one speaks TLS at once is found by trying."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise Failed("the server did not say where it listens; it said:\n" + "\n".join(self.said))
            self.said.append(line)
            for port in re.findall(r"127\.0\.0\.1:([1-9][0-9]*)", line):
                if speaks_tls(int(port)):
                    return int(port)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; the server must end by itself and well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=ANSWER_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Failed("the server did not end after SIGTERM") from None
        if status != 0:
            raise Failed(f"the server ended with status {status} after SIGTERM; it said:\n{self.last_words()}")

    def last_words(self):
        while not self.lines.empty():
            line = self.lines.get()
            if line is not None:
                self.said.append(line)
        return "\n".join(self.said[-30:])


def speaks_tls(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as plain:
            with context.wrap_socket(plain, server_hostname="localhost"):
                return True
    except OSError:
        return False


class Client:
    """One login of NAME@localhost over direct TLS."""

    def __init__(self, port, certificate, name, password):
        context = ssl.create_default_context(cafile=certificate)
        # Newer Pythons want of a self-signed certificate what only a certificate authority's has.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        plain = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.name = name
        self.count = 0
        self.log_in(password)

    def log_in(self, password):
        features = self.open_stream()
        mechanisms = [element.text for element in features.iter(SASL + "mechanism")]
        self.expect("PLAIN" in mechanisms, f"SASL PLAIN offered under TLS, not {mechanisms}")
        secret = base64.b64encode(f"\0{self.name}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{secret}</auth>")
        answer = self.receive()
        self.expect(answer.tag == SASL + "success", f"success, not {show(answer)}")
        features = self.open_stream()
        self.expect(features.find(BIND + "bind") is not None, "resource binding offered after SASL")
        answer = self.ask("set", f"<bind xmlns='{BIND[1:-1]}'><resource>smoke</resource></bind>")
        self.jid = answer.findtext(f"{BIND}bind/{BIND}jid")
        self.expect((self.jid or "").startswith(f"{self.name}@localhost/"), f"a JID of {self.name}, not {self.jid}")
        self.send("<presence/>")

    def open_stream(self):
        self.parser = ElementTree.XMLPullParser(["start", "end"])
        self.depth = 0
        self.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' to='localhost'"
            " xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        features = self.receive()
        self.expect(features.tag == STREAMS + "features", f"stream features, not {show(features)}")
        return features

    def send(self, text):
        self.socket.sendall(text.encode())

    def receive(self):
        """The next whole child of the stream."""
        while True:
            for event, element in self.parser.read_events():
                self.depth += 1 if event == "start" else -1
                if event == "end" and self.depth == 1:
                    return element
                self.expect(self.depth > 0, "the stream stays open")
            try:
                some = self.socket.recv(65536)
            except TimeoutError:
                raise Failed(f"{self.name}: no answer within {ANSWER_SECONDS_MAX:g} s") from None
            self.expect(some, "the connection stays open")
            self.parser.feed(some)

    def ask(self, kind, payload):
        """An IQ and its result; what else arrives meanwhile is collected in self.meanwhile."""
        self.count += 1
        identifier = f"q{self.count}"
        self.meanwhile = []
        self.send(f"<iq type='{kind}' id='{identifier}'>{payload}</iq>")
        while True:
            element = self.receive()
            if element.tag == CLIENT + "iq" and element.get("id") == identifier:
                self.expect(element.get("type") == "result", f"a result, not {show(element)}")
                return element
            self.meanwhile.append(element)

    def await_message(self, body):
        while True:
            element = self.receive()
            if element.tag == CLIENT + "message" and element.findtext(CLIENT + "body") == body:
                return element

    def archived_bodies(self):
        fin = self.ask("set", f"<query xmlns='{MAM[1:-1]}' queryid='a'/>").find(MAM + "fin")
        self.expect(fin is not None, "<fin/> after an archive query")
        path = f"{MAM}result/{FORWARD}forwarded/{CLIENT}message/{CLIENT}body"
        return [element.findtext(path) for element in self.meanwhile if element.find(MAM + "result") is not None]

    def expect(self, truth, what):
        if not truth:
            raise Failed(f"{self.name}: expected {what}")


def show(element):
    return ElementTree.tostring(element, encoding="unicode")[:400]


def add_account(command, data, name, password):
    done = subprocess.run(
        command + ["user", "add", name, "--data", data],
        input=f"{password}\n".encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=ANSWER_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise Failed(f"`user add {name}` ended with {done.returncode}: {done.stdout.decode('utf-8', 'replace')}")


def run(command, data):
    certificate = os.path.join(data, "cert.pem")
    passwords = {"juliet": "wherefore art thou", "romeo": "the more I give to thee"}
    server = Server(command, data)
    try:
        print(f"started in {server.start_seconds * 1000:.0f} ms")
        for name, password in passwords.items():
            add_account(command, data, name, password)
        juliet = Client(server.port, certificate, "juliet", passwords["juliet"])
        romeo = Client(server.port, certificate, "romeo", passwords["romeo"])
        print("two accounts, two logins over", juliet.socket.version())

        body = "My bounty is as boundless as the sea & deeper <3"
        escaped = body.replace("&", "&amp;").replace("<", "&lt;")
        juliet.send(f"<message type='chat' id='m1' to='{romeo.jid}'><body>{escaped}</body></message>")
        message = romeo.await_message(body)
        romeo.expect(message.get("from") == juliet.jid, f"a message from {juliet.jid}, not {message.get('from')}")
        # Delivered is durable: no waiting before the kill.
        server.kill()
        print("a message, then SIGKILL")

        server = Server(command, data)
        for name in passwords:
            client = Client(server.port, certificate, name, passwords[name])
            bodies = client.archived_bodies()
            client.expect(bodies == [body], f"the one message in the archive after SIGKILL, not {bodies}")
        print(f"started again in {server.start_seconds * 1000:.0f} ms, still in both archives")
        server.stop()
    except Failed as failed:
        server.kill()
        raise Failed(f"{failed}\nthe server's last words:\n{server.last_words()}") from None
    finally:
        server.kill()


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: smoke.py COMMAND…")
    with tempfile.TemporaryDirectory(prefix="stonechat-smoke-") as data:
        try:
            run(sys.argv[1:], data)
        except (Failed, OSError, ElementTree.ParseError, subprocess.TimeoutExpired) as failed:
            sys.exit(f"smoke test failed: {failed}")
    print("smoke test passed")


main()
