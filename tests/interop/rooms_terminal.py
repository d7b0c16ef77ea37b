"""Two profanities in rooms: one makes a room and unlocks it, the other joins; subject, nicks, private messages, a kick, a return;
a script says something. Then a private group by the room's form, members by affiliation, OMEMO in it; who was away has its messages after SIGKILL.

usage: rooms_terminal.py BINARY"""
import asyncio
import os
import subprocess
import sys

from occupant import SERVICE, come as log_in_too
from profanities import befriend, come, log_in, say
from server import Server
from terminal import Terminal

ORCHARD, CELL = f"orchard@{SERVICE}", f"cell@{SERVICE}"


def talk(romeo, juliet):
    """§10.1.2, §7, §8 of XEP-0045."""
    romeo.type(f"/join {ORCHARD} nick Romeo")
    romeo.wait_for("requires configuration")
    romeo.type("/room accept")
    romeo.wait_for("Room unlocked")
    juliet.type(f"/join {ORCHARD} nick Juliet")
    juliet.wait_for("You have joined the room as Juliet, role: participant")
    romeo.type("But soft")
    juliet.wait_for("Romeo: But soft")
    juliet.type("Ay me")
    romeo.wait_for("Juliet: Ay me")
    romeo.type("/subject set The east")
    juliet.wait_for("Romeo has set the room subject: The east")
    juliet.type("/nick Capulet")
    romeo.wait_for("Juliet is now known as Capulet")
    juliet.type("/msg Romeo Swear not by the moon")
    juliet.wait_for("me: Swear not by the moon")
    juliet.type(f"/win {ORCHARD}")
    romeo.type(f"/win {ORCHARD}/Capulet")
    romeo.wait_for("Swear not by the moon")
    romeo.type(f"/win {ORCHARD}")
    romeo.type("/kick Capulet Parting is such sweet sorrow")
    juliet.wait_for(f"Kicked from {ORCHARD} by Romeo")
    romeo.wait_for("Parting is such sweet sorrow")
    juliet.type(f"/join {ORCHARD} nick Juliet")
    juliet.wait_for("You have joined the room as Juliet")
    juliet.type("By and by, I come")
    romeo.wait_for("Juliet: By and by, I come")


def by_a_script(server, juliet):
    """go-sendxmpp comes, says what it is told to say, and goes. TLS verified."""
    server_options = ["-u", "nurse@localhost", "-p", "secret of nurse", "-j", f"localhost:{server.port}"]
    subprocess.run(["go-sendxmpp", *server_options, "-c", "-a", "Bot", ORCHARD], input="The disk is full", text=True, check=True,
                   timeout=30, env=dict(os.environ, SSL_CERT_FILE=server.certificate))
    juliet.wait_for("Bot: The disk is full")


async def tags(server, room):
    """What profanity calls a field: it numbers what it shows. By the owner's other place."""
    owner = await log_in_too(server, "romeo", "counting")
    form = await owner.muc.get_room_config(room)
    fields = [field["var"] for field in form if field["type"] not in ("hidden", "fixed")]
    await owner.go()
    return {name.removeprefix("muc#roomconfig_"): f"/field{number}" for number, name in enumerate(fields, 1)}


def make_private(server, romeo):
    """By the form: without both of these it refuses to encrypt."""
    romeo.type(f"/join {CELL} nick Romeo")
    romeo.wait_for("requires configuration")
    tag = asyncio.run(tags(server, CELL))
    romeo.type("/room config")
    romeo.wait_for("/form submit")
    for name, value in (("membersonly", "on"), ("whois", "anyone"), ("persistentroom", "on")):
        romeo.type(f"{tag[name]} {value}")
    romeo.type("/form submit")
    romeo.wait_for("configuration successful")
    romeo.type("/affiliation set member juliet@localhost")
    romeo.type("/affiliation list member")
    romeo.wait_for("Affiliation: member")


def encrypt(server, romeo, juliet):
    """Everybody's keys are found by the members' addresses, which all of them are told."""
    juliet.type(f"/join {CELL} nick Juliet")
    juliet.wait_for("You have joined the room as Juliet, role: participant, affiliation: member")
    # It looks at what a room is, and at who its members are, when it comes in.
    romeo.type("/leave")
    romeo.type(f"/join {CELL} nick Romeo")
    romeo.wait_for("You have joined the room as Romeo, role: moderator, affiliation: owner")
    for terminal in (romeo, juliet):
        terminal.type("/omemo start")
        terminal.wait_for("[OMEMO]")
    say(romeo, "What less than doomsday", "Romeo")
    juliet.wait_for("Romeo: What less than doomsday")
    say(juliet, "Banishment", "Juliet")
    romeo.wait_for("Juliet: Banishment")
    juliet.type("/disconnect")
    juliet.wait_for("logged out successfully")
    say(romeo, "Be merciful", "Romeo")
    romeo.type("/clear")
    server.kill()
    server.start()
    # It knows whose keys a message of before is by only if its sender is there.
    romeo.wait_for("Connection re-established", seconds=30)
    log_in(juliet, "juliet", server.port)
    juliet.type(f"/join {CELL} nick Juliet")
    juliet.wait_for("Romeo: Be merciful")


async def archived(server):
    reader = await log_in_too(server, "romeo", "archive")
    found = await reader.room_archive(CELL)
    await reader.go()
    return [each["body"] for each in found.values() if each["body"]]


def main(binary):
    with Server(binary, settings="channels_open = true") as server:
        terminals = []
        try:
            server.user_add("nurse", "secret of nurse")
            for name in ("romeo", "juliet"):
                server.user_add(name, f"secret of {name}")
                terminals.append(Terminal(server.certificate))
                come(terminals[-1], name, server.port)
            romeo, juliet = terminals
            talk(romeo, juliet)
            by_a_script(server, juliet)
            print("   a room made, joined, talked in, left and come back to: ok", flush=True)
            for terminal in terminals:
                terminal.type("/win 1")
            befriend(romeo, juliet)
            make_private(server, romeo)
            encrypt(server, romeo, juliet)
        finally:
            for terminal in terminals:
                terminal.close()
        bodies = asyncio.run(archived(server))
        assert len(bodies) == 3 and all("OMEMO" in body for body in bodies), bodies
        server.stop()
    print("   a private group by its form, OMEMO in it, also to who was away: ok")


main(sys.argv[1])
