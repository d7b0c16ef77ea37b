"""go-sendxmpp with OpenPGP for XMPP (XEP-0373): keys are made and published, found by who is no contact; what is sent is read
late, after SIGKILL, and at once. Nothing of it is in the archive in the clear.

usage: openpgp.py BINARY"""
import asyncio
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time

from client import archived
from server import Server

SECONDS_MAX = 30


class Person:
    """go-sendxmpp with a home directory of its own, for its keys."""

    def __init__(self, server, name):
        self.home = tempfile.mkdtemp(prefix="stonechat-openpgp-")
        self.environment = dict(os.environ, HOME=self.home, XDG_DATA_HOME=self.home, XDG_CONFIG_HOME=self.home,
                                XDG_CACHE_HOME=self.home, SSL_CERT_FILE=server.certificate)
        self.command = ["go-sendxmpp", "-u", f"{name}@localhost", "-p", f"secret of {name}",
                        "-j", f"localhost:{server.tls_port}", "-t"]

    def do(self, *options, text=None):
        done = subprocess.run([*self.command, *options], input=text, text=True, timeout=SECONDS_MAX, env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home, ignore_errors=True)


class Listener:
    """Prints what it hears, decrypted."""

    def __init__(self, person):
        self.process = subprocess.Popen([*person.command, "--ox", "-l"], env=person.environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.heard = ""

    def hears(self, text):
        until = time.monotonic() + SECONDS_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while text not in self.heard:
                ready = selector.select(until - time.monotonic())
                data = os.read(self.process.stdout.fileno(), 65536).decode() if ready else ""
                assert data, f"never heard {text!r}, but {self.heard!r}"
                self.heard += data
        assert self.heard.count(text) == 1, self.heard

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet"):
            server.user_add(name, f"secret of {name}")
        with Person(server, "romeo") as romeo, Person(server, "juliet") as juliet:
            for person in (romeo, juliet):
                person.do("--ox-genprivkey-x25519")
            romeo.do("--ox", "juliet@localhost", text="but soft")
            server.kill()
            server.start()
            with Listener(juliet) as listener:
                listener.hears("[OX] romeo@localhost: but soft")
                romeo.do("--ox", "juliet@localhost", text="what light")
                listener.hears("[OX] romeo@localhost: what light")
        bodies = asyncio.run(archived(server, "juliet"))
        assert len(bodies) == 2 and not [body for body in bodies if "soft" in body or "light" in body], bodies
        server.stop()
    print("   OpenPGP keys made, published, found; read late after SIGKILL and at once: ok")


main(sys.argv[1])
