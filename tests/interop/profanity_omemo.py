"""Two profanities exchange OMEMO messages (XEP-0384): keys made, found by the other, read; one is away, the server is killed.
The archive has no word of it.

usage: profanity_omemo.py BINARY"""
import asyncio
import sys

from client import archived
from profanities import befriend, come, log_in, say
from server import Server
from terminal import Terminal


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
