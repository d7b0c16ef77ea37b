"""Two profanities exchange OMEMO messages (XEP-0384): keys made, found by the other, read; one is away, the server is killed.
The archive has no word of it.

usage: profanity_omemo.py BINARY"""
import asyncio
import sys

from client import archived
from server import Server
from terminal import Terminal


def log_in(terminal, name, port):
    terminal.type("/clear")
    terminal.type(f"/connect {name}@localhost server 127.0.0.1 port {port} tls force")
    terminal.wait_for("password")
    terminal.type(f"secret of {name}")
    terminal.wait_for("logged in successfully")


def come(terminal, name, port):
    """Logs in for the first time and makes its keys. The device's list is not there yet: it makes that, too."""
    terminal.wait_for("Profanity")
    terminal.type("/reconnect 1")
    terminal.type("/omemo trustmode blind")
    log_in(terminal, name, port)
    # Said once it knows what the server and each of its services can; its keys can be published from then on.
    terminal.wait_for("cannot publish crypto materials")
    terminal.type("/omemo gen")
    terminal.wait_for(f"Blind trust for {name}@localhost device")


def befriend(romeo, juliet):
    romeo.type("/sub request juliet@localhost")
    juliet.wait_for("Received authorization request from romeo@localhost")
    juliet.type("/sub allow romeo@localhost")
    juliet.type("/sub request romeo@localhost")
    romeo.wait_for("Received authorization request from juliet@localhost")
    romeo.type("/sub allow juliet@localhost")
    juliet.wait_for("++ romeo@localhost")


def say(terminal, text):
    """Again until it can: it says at once whether it has keys to write with, and fetches what it lacks."""
    for _ in range(20):
        terminal.type(text)
        try:
            return terminal.wait_for(f"~ me: {text}", seconds=1)
        except SystemExit:
            pass
    terminal.wait_for(f"~ me: {text}")


def converse(server, romeo, juliet):
    come(romeo, "romeo", server.port)
    come(juliet, "juliet", server.port)
    befriend(romeo, juliet)
    for terminal, other in ((romeo, "juliet"), (juliet, "romeo")):
        terminal.type(f"/omemo start {other}@localhost")
        terminal.wait_for("[OMEMO]")
    say(romeo, "but soft")
    juliet.wait_for(": but soft")
    say(juliet, "ay me")
    romeo.wait_for(": ay me")
    juliet.type("/disconnect")
    juliet.wait_for("logged out successfully")
    say(romeo, "she speaks")
    server.kill()
    server.start()
    log_in(juliet, "juliet", server.port)
    juliet.wait_for("chat message: romeo@localhost")
    juliet.type("/win 2")
    juliet.wait_for(": she speaks")
    romeo.wait_for("[online]")  # again
    say(juliet, "wherefore art thou")
    romeo.wait_for(": wherefore art thou")


def main(binary):
    with Server(binary) as server:
        terminals = []
        try:
            for name in ("romeo", "juliet"):
                server.user_add(name, f"secret of {name}")
                terminals.append(Terminal(server.certificate))
            converse(server, *terminals)
        finally:
            for terminal in terminals:
                terminal.close()
        bodies = asyncio.run(archived(server, "juliet"))
        assert len(bodies) == 4 and all("OMEMO" in body for body in bodies), bodies
        server.stop()
    print("   keys made and found, read at once and late, after SIGKILL, nothing in the clear: ok")


main(sys.argv[1])
