"""Dino in a private group that slixmpp made: it joins by the bookmark of its account (XEP-0402), hears and says;
started anew it reads in the archive what it missed, once; and is put out.

In a network of its own, where the server can be where Dino looks for it, with its certificate among the system's.
usage: rooms_dino.py BINARY"""
import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile

from occupant import SERVICE, Occupant
from server import Server
from windows import Dino

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
CELL, JULIET = f"cell@{SERVICE}", "juliet@localhost"


def trust(server, place):
    """For whoever asks the system, in this namespace."""
    store = os.path.join(place, "authorities")
    with open(store, "wb") as file:
        for path in (AUTHORITIES, server.certificate):
            with open(path, "rb") as certificates:
                file.write(certificates.read())
    subprocess.run(["mount", "--bind", store, AUTHORITIES], check=True)


async def come(server, name, *plugins):
    person = Occupant(server, name, "room")
    for plugin in plugins:
        person.register_plugin(plugin)
    return await person.come()


async def bookmark(server):
    """As another of juliet's clients does."""
    juliet = await come(server, "juliet", "xep_0060", "xep_0402")
    conference = juliet.plugin["xep_0402"].stanza.Conference()
    conference["name"], conference["autojoin"], conference["nick"] = "The cell", True, "Juliet"
    await juliet.plugin["xep_0060"].publish(JULIET, "urn:xmpp:bookmarks:1", id=CELL, payload=conference)
    await juliet.go()


async def at_once(function, *arguments):
    """Windows are waited for while stanzas are answered."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def converse(romeo, dino):
    await romeo.sees(f"{CELL}/Juliet", affiliation="member")
    romeo.say(CELL, "It is the east")
    await at_once(dino.hears, "It is the east")
    await at_once(dino.says, "Ay me")
    await romeo.hears(f"{CELL}/Juliet", "Ay me")
    await at_once(dino.close)
    for text in ("O speak again", "bright angel"):
        romeo.say(CELL, text)
        await romeo.hears(f"{CELL}/Romeo", text)
    await at_once(dino.start)
    await romeo.sees(f"{CELL}/Juliet", affiliation="member")
    for text in ("O speak again", "bright angel"):
        await at_once(dino.hears, text)
    romeo.muc.set_subject(CELL, "Juliet is the sun")
    await at_once(dino.says, "Wherefore art thou")
    await romeo.hears(f"{CELL}/Juliet", "Wherefore art thou")
    for text in ("It is the east", "Ay me", "O speak again", "bright angel"):
        await at_once(dino.until, "select 1 where (select count(*) from message where body = ?) = 1", text)


async def main(binary):
    place = tempfile.mkdtemp(prefix="stonechat-dino-")
    dino = None
    try:
        server = Server(binary)
        server.port, server.tls_port = 5222, 5223
        with server:
            for name in ("romeo", "juliet"):
                server.user_add(name, f"secret of {name}")
            trust(server, place)
            romeo = await come(server, "romeo")
            await romeo.create(CELL, "Romeo", roomname="The cell", persistentroom=True, membersonly=True, whois="anyone", publicroom=False)
            await romeo.muc.set_affiliation(CELL, "member", jid=JULIET)
            await bookmark(server)
            dino = Dino(os.path.join(place, "window"), "juliet", CELL, room=True)
            await at_once(dino.start)
            await converse(romeo, dino)
            dino.look("dino")
            await romeo.muc.set_affiliation(CELL, "none", jid=JULIET)
            await romeo.sees(f"{CELL}/Juliet", 321, type="unavailable")
            for request, condition in dino.refusals():
                assert (condition == "item-not-found" and ":items " in request) or "urn:xmpp:extdisco:2" in request, f"{condition}: {request}"
            await romeo.go()
            server.stop()
        print("   Dino joins by its bookmark, hears, says, comes back and reads what it missed: ok")
    finally:
        if dino:
            dino.end()
        shutil.rmtree(place, ignore_errors=True)


if "inside" not in sys.argv:
    flags = ["--net", "--mount"] if os.getuid() == 0 else ["--map-root-user", "--net", "--mount"]
    if subprocess.run(["unshare", *flags, "true"], check=False).returncode != 0:
        print("no namespaces are to be had here: left out")
        sys.exit(0)
    os.execvp("unshare", ["unshare", *flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                          sys.executable, os.path.abspath(__file__), os.path.abspath(sys.argv[1]), "inside"])
logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
