"""openssl's own client over TLS 1.3: new keys at every moment (typed K and k), records of every size, padded ones, early data.

usage: openssl.py BINARY"""
import base64
import os
import re
import select
import subprocess
import sys
import tempfile
import time

from server import Server

HEADER = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
          "to='localhost'>")
SECONDS_MAX = 10


class OpenSsl:
    """s_client, which takes lines: K asks for new keys on both sides, k tells of its own."""

    def __init__(self, server, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-servername", "localhost", "-tls1_3",
             "-CAfile", server.certificate, "-verify_return_error", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = self.all = b""

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hear(self, pattern):
        """Reads until the pattern is there, and takes everything up to it."""
        until = time.monotonic() + SECONDS_MAX
        while not (found := re.search(pattern.encode(), self.seen)):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert piece, f"no {pattern} in {self.seen[-2000:]}"
            self.seen += piece
            self.all += piece
        self.seen = self.seen[found.end():]
        return found.group(0).decode()

    def log_in(self, token):
        initial = base64.b64encode(f"n,,\1auth=Bearer {token}\1\1".encode()).decode()
        self.say(f"{HEADER}<authenticate xmlns='urn:xmpp:sasl:2' mechanism='OAUTHBEARER'>"
                 f"<initial-response>{initial}</initial-response><bind xmlns='urn:xmpp:bind:0'/></authenticate>\n")
        self.hear("<success[^>]*>")

    def ping(self, name, padding=0):
        self.say(f"<iq type='get' id='{name}'><ping xmlns='urn:xmpp:ping'/>{' ' * padding}</iq>\n")
        self.hear(f"id=['\"]{name}['\"]")

    def update(self, letter):
        """A command stands at the beginning of what is typed; it must be read alone."""
        time.sleep(0.05)
        self.say(letter + "\n")
        self.hear("KEYUPDATE")

    def end(self):
        self.say("</stream:stream>\n")
        self.hear("</stream:stream>")
        self.process.stdin.close()
        self.process.wait(SECONDS_MAX)


def keys_change(server, token, options):
    client = OpenSsl(server, *options)
    client.hear("Verify return code: 0|read R BLOCK")
    client.update("k")  # before a word was said
    client.log_in(token)
    for turn, letter in enumerate("KkKKkkK"):
        client.update(letter)
        client.ping(f"a{turn}", 40 * turn)
        client.ping(f"b{turn}", 3000 * turn)
    client.end()


def early_data_is_taken(server, token):
    with tempfile.TemporaryDirectory() as folder:
        session, early = os.path.join(folder, "session"), os.path.join(folder, "early")
        first = OpenSsl(server, "-sess_out", session)
        first.log_in(token)
        first.ping("first")
        first.end()
        with open(early, "w", encoding="utf-8") as file:
            file.write(HEADER)
        second = OpenSsl(server, "-sess_in", session, "-early_data", early)
        second.hear("<stream:stream")
        second.update("K")
        second.end()
        assert b"Early data was accepted" in second.all, second.all


def main(binary):
    kinds = [[], ["-max_send_frag", "512"], ["-max_send_frag", "512", "-split_send_frag", "512", "-record_padding", "256"],
             ["-record_padding", "16384"], ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
             ["-ciphersuites", "TLS_AES_256_GCM_SHA384"], ["-ciphersuites", "TLS_AES_128_GCM_SHA256", "-bugs"]]
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        token = server.token_add("romeo", "--name", "openssl")
        for options in kinds:
            keys_change(server, token, options)
        early_data_is_taken(server, token)
        assert not server.logged("tls.failed"), server.logged("tls.failed")
        server.stop()
    print(f"keys changed in {len(kinds)} ways of sending; early data taken")


main(sys.argv[1])
