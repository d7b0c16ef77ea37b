"""A phone in a room, by slixmpp: its network breaks, it is not looked at (XEP-0352), the server is upgraded (SIGTERM, start) or killed.
It stays in as long as its session does and then has every message once and in order; else it learns that it is out, and catches up.

usage: rooms_asleep.py BINARY"""
import asyncio
import logging
import sys

from client import TIMEOUT
from occupant import SERVICE, Occupant, come, settled
from resuming import Resuming
from server import Server

ORCHARD = f"orchard@{SERVICE}"


class Phone(Occupant, Resuming):
    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        self.register_plugin("xep_0352")
        self.told = None

    async def is_in_by_now(self, room, nick):
        """In still, or out, which it can learn, and in again."""
        self.told = "still in"
        if not await self.is_in(room, nick):
            self.told = "in again"
            await self.enter(room, nick, maxstanzas=0)

    async def has(self, *bodies):
        """These and no others since last time, in order."""
        await self.gets("message", f"{ORCHARD}/Romeo", body=bodies[-1])
        heard = [each["body"] for each in self.kept if each.name == "message" and each["from"] == f"{ORCHARD}/Romeo" and each["body"]]
        assert [*heard, bodies[-1]] == list(bodies), f"{heard}, {bodies[-1]} instead of {bodies}"
        self.forget(ORCHARD)


def speak(romeo, *bodies):
    for body in bodies:
        romeo.say(ORCHARD, body)


async def cut_off(romeo, juliet):
    """Nobody sees her go; nothing is lost."""
    speak(romeo, "1")
    await juliet.has("1")
    await juliet.reset()
    romeo.forget(ORCHARD)
    speak(romeo, "2", "3")
    await settled(romeo)
    await juliet.come_back()
    speak(romeo, "4")
    await juliet.has("2", "3", "4")
    await romeo.gets_no("presence", f"{ORCHARD}/Juliet")
    assert await juliet.is_in(ORCHARD, "Juliet")
    juliet.say(ORCHARD, "a")
    await romeo.hears(f"{ORCHARD}/Juliet", "a")
    print("   in a room over a broken connection: ok", flush=True)


async def not_looked_at(romeo, juliet, nurse):
    """Presence may wait; words come in their order, and what puts one out at once."""
    juliet.plugin["xep_0352"].send_inactive()
    await settled(juliet)
    await nurse.enter(ORCHARD, "Nurse", maxstanzas=0)
    for show in ("away", "dnd", "xa"):
        nurse.send_presence(pto=f"{ORCHARD}/Nurse", pshow=show)
    await settled(nurse)
    speak(romeo, "5", "6")
    await settled(romeo)
    juliet.plugin["xep_0352"].send_active()
    await juliet.sees(f"{ORCHARD}/Nurse", type="xa")
    await juliet.has("5", "6")
    juliet.plugin["xep_0352"].send_inactive()
    await settled(juliet)
    await romeo.muc.set_role(ORCHARD, "Juliet", "none")
    await juliet.sees(f"{ORCHARD}/Juliet", 110, 307, type="unavailable")
    juliet.plugin["xep_0352"].send_active()
    await juliet.enter(ORCHARD, "Juliet", maxstanzas=0)
    print("   in a room and not looked at: ok", flush=True)


async def upgraded(server, romeo, juliet, nurse):
    """Sessions outlive it, and so does being in."""
    await juliet.reset()
    speak(romeo, "7", "8")
    await settled(romeo)
    server.stop()
    for person in (romeo, nurse):
        await asyncio.wait_for(person.gone.wait(), TIMEOUT)
    server.start()
    for person in (romeo, nurse):
        await person.come_back()
    await romeo.is_in_by_now(ORCHARD, "Romeo")
    speak(romeo, "9")
    await juliet.come_back()
    await juliet.is_in_by_now(ORCHARD, "Juliet")
    speak(romeo, "10")
    await juliet.hears(f"{ORCHARD}/Romeo", "10")
    heard = [each["body"] for each in juliet.kept if each.name == "message" and each["from"] == f"{ORCHARD}/Romeo" and each["body"]]
    bodies = [each["body"] for each in (await juliet.room_archive(ORCHARD)).values() if each["body"].isdigit()]
    assert bodies == [str(number) for number in range(1, 11)], bodies
    assert len(heard) == len(set(heard)) and heard == sorted(heard, key=int), heard
    print(f"   after SIGTERM and start, {juliet.told}: ok", flush=True)


async def killed(server, romeo, juliet, nurse):
    """Nobody knows the sessions any more: a new one enters again with the old nick at once, and catches up by the archive."""
    last = list(await juliet.room_archive(ORCHARD))[-1]
    speak(romeo, "11")
    await juliet.hears(f"{ORCHARD}/Romeo", "11")
    server.kill()
    for person in (romeo, juliet, nurse):
        await asyncio.wait_for(person.gone.wait(), TIMEOUT)
    server.start()
    for person, nick in ((romeo, "Romeo"), (juliet, "Juliet"), (nurse, "Nurse")):
        await person.come()
        assert not await person.is_in(ORCHARD, nick)
        await person.enter(ORCHARD, nick, maxstanzas=0)
    speak(romeo, "12")
    await juliet.hears(f"{ORCHARD}/Romeo", "12")
    assert [each["body"] for each in (await juliet.room_archive(ORCHARD, after=last)).values()] == ["11", "12"]
    # A session of before is no ghost in the way.
    await juliet.reset()
    juliet = await come(server, "juliet", "another")
    await juliet.enter(ORCHARD, "Juliet", maxstanzas=0)
    await juliet.go()
    print("   after SIGKILL: ok", flush=True)


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse"):
            server.user_add(name, f"secret of {name}")
        romeo, juliet, nurse = [await Phone(server, name, "phone").come() for name in ("romeo", "juliet", "nurse")]
        await romeo.create(ORCHARD, "Romeo", persistentroom=True, membersonly=False)
        await juliet.enter(ORCHARD, "Juliet")
        await cut_off(romeo, juliet)
        await not_looked_at(romeo, juliet, nurse)
        await upgraded(server, romeo, juliet, nurse)
        await killed(server, romeo, juliet, nurse)
        for person in (romeo, nurse):
            await person.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
