"""A small disk that fills up while the server runs: it stays up, refuses what it cannot keep, heals by itself; it stops and
starts with not a byte left. On a file system in memory, in a mount namespace of its own.

usage: fulldisk.py BINARY"""
import base64
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from server import Server

DISK = "48m"
HEADER = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
          "to='localhost'>")


class Client:
    def __init__(self, server, token, resource):
        raw = socket.create_connection(("127.0.0.1", server.tls_port))
        self.socket = server.tls_context().wrap_socket(raw, server_hostname="localhost")
        self.seen, self.count = "", 0
        proof = base64.b64encode(f"n,,\1auth=Bearer {token}\1\1".encode()).decode()
        self.send(f"{HEADER}<authenticate xmlns='urn:xmpp:sasl:2' mechanism='OAUTHBEARER'><initial-response>{proof}"
                  f"</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>{resource}</tag></bind></authenticate>")
        self.hear("<success.*?</stream:features>")
        self.send("<presence/>")
        self.ping()

    def send(self, text):
        self.socket.sendall(text.encode())

    def hear(self, pattern, seconds=10):
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            ready = self.socket.pending() or select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]
            data = self.socket.recv(65536) if ready else b""
            assert data, f"no {pattern}: {self.seen[-500:]}"
            self.seen += data.decode()
        heard, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return heard

    def ping(self):
        self.count += 1
        self.send(f"<iq type='get' id='p{self.count}'><ping xmlns='urn:xmpp:ping'/></iq>")
        return self.hear(f"id='p{self.count}'")

    def archived(self):
        """Bodies of the last page."""
        self.send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
                  "<max>250</max><before/></set></query></iq>")
        return re.findall("<body>(.*?)</body>", self.hear("^.*<iq[^>]*id='mam'.*?</iq>"))


def fill(folder):
    """Not a byte is left."""
    with open(os.path.join(folder, "filler"), "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def send_until_refused(sender, receiver):
    """Numbers of messages to somebody absent that were accepted, until one is refused."""
    accepted = []
    for number in range(3000):
        sender.send(f"<message to='{receiver}@localhost' type='chat' id='m{number}'><body>{receiver} {number} "
                    f"{'x' * 3000}</body></message>")
        heard = sender.ping()
        if "resource-constraint" in heard:
            assert f"id='m{number}'" in heard, heard
            return accepted
        accepted.append(number)
    raise AssertionError("never refused")


def main(binary, folder):
    server = Server(binary)
    os.rmdir(server.data)
    server.data = os.path.join(folder, "data")
    os.mkdir(server.data)
    with server:
        tokens = {}
        for name in ("romeo", "juliet", "nurse"):
            server.user_add(name, "secret")
            tokens[name] = server.token_add(name, "--name", "disk")
        romeo, juliet = (Client(server, tokens[name], "a") for name in ("romeo", "juliet"))
        romeo.send("<message to='nurse@localhost' type='chat'><body>before</body></message>")
        romeo.ping()
        fill(folder)
        accepted = send_until_refused(romeo, "nurse")
        assert server.process.poll() is None
        # Who is there goes on chatting, and who was away comes in.
        romeo.send("<message to='juliet@localhost' type='chat'><body>still here</body></message>")
        juliet.hear("still here")
        again = Client(server, tokens["juliet"], "b")
        assert len(again.archived()) <= 250
        nurse = Client(server, tokens["nurse"], "a")
        kept = nurse.archived()
        assert kept[0] == "before" and len(kept) == len(accepted) + 1, (len(kept), len(accepted))
        for client in (nurse, again):
            client.socket.close()
        # It stops and starts with nothing left, in order and not.
        server.stop()
        server.start()
        romeo = Client(server, tokens["romeo"], "a")
        server.kill()
        server.start()
        romeo = Client(server, tokens["romeo"], "a")
        romeo.send("<message to='nurse@localhost' type='chat' id='full'><body>no</body></message>")
        romeo.hear("resource-constraint")
        # There is room again.
        os.remove(os.path.join(folder, "filler"))
        until = time.monotonic() + 40
        while time.monotonic() < until:
            romeo.send("<message to='nurse@localhost' type='chat' id='room'><body>room again</body></message>")
            if "resource-constraint" not in romeo.ping():
                break
            time.sleep(1)
        else:
            raise AssertionError("it does not heal")
        nurse = Client(server, tokens["nurse"], "a")
        assert nurse.archived()[-1] == "room again"
        server.stop()
    print(f"stays up on a full disk: {len(accepted)} messages accepted and kept, then refused; heals")


if len(sys.argv) == 2:
    # The log goes with the data; both vanish with the namespace.
    flags = ["-m"] if os.getuid() == 0 else ["-rm"]
    with tempfile.TemporaryDirectory(prefix="stonechat-disk-") as place:
        inside = ["unshare", *flags, "sh", "-c", 'mount -t tmpfs -o size=$1 disk "$2" && exec "$3" "$4" "$5" "$2"', "sh", DISK,
                  place, sys.executable, os.path.abspath(__file__), os.path.abspath(sys.argv[1])]
        if subprocess.run(["unshare", *flags, "true"], check=False).returncode != 0:
            print("no mount namespace is to be had here: left out")
            sys.exit(0)
        sys.exit(subprocess.run(inside, check=False).returncode)
main(sys.argv[1], sys.argv[2])
