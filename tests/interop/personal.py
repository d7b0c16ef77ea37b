"""Personal eventing (XEP-0163) as slixmpp speaks it, with nicknames (XEP-0172) and private notes (XEP-0223): what contacts and own
devices hear, at once, at login, after a resumption, after SIGKILL; and that nobody else hears or reads it.

usage: personal.py BINARY"""
import asyncio
import logging
import sys

from client import TIMEOUT, befriend
from person import Person, come, go, published, refused
from server import Server

ROMEO = "romeo@localhost"
NICK = "http://jabber.org/protocol/nick"
NOTES = "urn:example:notes"
PRIVATE = {"persist_items": True, "access_model": "whitelist"}


async def eventing(server, juliet):
    romeo = await come(server, "romeo", "phone", NOTES, plugins=["xep_0172"])
    desktop = await come(server, "romeo", "desktop")
    chamber = await come(server, "juliet", "chamber")
    nurse = await come(server, "nurse", "house", NICK)
    tybalt = await come(server, "tybalt", "street", NICK, NOTES)
    await befriend(romeo, juliet)
    await befriend(romeo, nurse)
    assert ("pubsub", "pep") in {identity[:2] for identity in (await romeo.info(ROMEO))["identities"]}

    # The node comes into being by itself, for contacts (§3, §4.1): those who said so hear of it.
    await romeo.plugin["xep_0172"].publish_nick("Romeo Montague")
    for who in (romeo, juliet, nurse):
        await who.hears(published(ROMEO, NICK, "current"))
        assert who.payloads[ROMEO, NICK, "current"].text == "Romeo Montague"
    for who in (desktop, chamber, tybalt):
        await who.hears()
    assert await chamber.items(ROMEO, NICK) == {"current": "Romeo Montague"}
    await refused(tybalt.items(ROMEO, NICK), "not-authorized presence-subscription-required", "item-not-found")
    assert NICK in await chamber.nodes(ROMEO) and NICK not in await tybalt.nodes(ROMEO)

    # What is written for oneself (XEP-0223) nobody else hears of; a node that is for others already is not taken for it.
    await romeo.publish(None, NOTES, "one", **PRIVATE)
    await romeo.hears(published(ROMEO, NOTES, "one"))
    assert await desktop.items(None, NOTES) == {"one": "text of one"}
    await refused(romeo.publish(None, NICK, "current", **PRIVATE), "conflict precondition-not-met")
    for who in (juliet, tybalt):
        await who.hears()
        await refused(who.items(ROMEO, NOTES), "not-allowed closed-node", "item-not-found")
        await refused(who.info(ROMEO, NOTES), "item-not-found", "service-unavailable")
        assert NOTES not in await who.nodes(ROMEO)

    # At login the last one, once, though its owner is away; not for those who are there already (§4.3.4).
    await go(romeo, desktop)
    garden = await come(server, "juliet", "garden", NICK, NOTES)
    await garden.hears(published(ROMEO, NICK, "current"))
    garden.send_presence(pshow="away")
    await garden.hears()
    await juliet.hears()
    romeo = await come(server, "romeo", "phone", plugins=["xep_0172"])
    await romeo.hears(published(ROMEO, NICK, "current"))

    # Who is no contact any more hears nothing, neither now nor at login.
    romeo.del_roster_item("nurse@localhost")
    await romeo.plugin["xep_0172"].publish_nick("Romeo")
    await garden.hears(published(ROMEO, NICK, "current"))
    await nurse.hears()
    await nurse.go()
    nurse = await come(server, "nurse", "house", NICK)
    await refused(nurse.items(ROMEO, NICK), "not-authorized presence-subscription-required", "item-not-found")
    await nurse.hears()
    await juliet.hears(published(ROMEO, NICK, "current"))
    await go(romeo, chamber, garden, nurse, tybalt)
    print("   events for contacts and own devices, at once and at login, for nobody else: ok")


async def missed(server, juliet):
    """Cut off and resumed (XEP-0198): what was published meanwhile, and nothing a second time."""
    romeo = await come(server, "romeo", "phone", plugins=["xep_0172"])
    lane = Person(server, "juliet", "lane", [NICK])
    lane.register_plugin("xep_0198")
    states = {name: asyncio.Event() for name in ("sm_enabled", "session_resumed", "disconnected")}
    for name, event in states.items():
        lane.add_event_handler(name, lambda _, event=event: event.set())
    await lane.come()
    await lane.hears(published(ROMEO, NICK, "current"))
    await asyncio.wait_for(states["sm_enabled"].wait(), TIMEOUT)
    lane.abort()
    await asyncio.wait_for(states["disconnected"].wait(), TIMEOUT)
    await romeo.plugin["xep_0172"].publish_nick("Montague")
    await juliet.hears(published(ROMEO, NICK, "current"))
    lane.connect(server.domain, server.port)
    await asyncio.wait_for(states["session_resumed"].wait(), TIMEOUT)
    await lane.hears(published(ROMEO, NICK, "current"))
    assert lane.payloads[ROMEO, NICK, "current"].text == "Montague"
    await romeo.plugin["xep_0172"].publish_nick("Romeo")
    for who in (lane, juliet):
        await who.hears(published(ROMEO, NICK, "current"))
    await go(romeo, lane)
    print("   what was missed, after a resumption: ok")


async def survived(server, juliet):
    """What was published last, told at login; what is private still is."""
    server.kill()
    juliet.abort()
    server.start()
    juliet = await come(server, "juliet", "attic", NICK, NOTES)
    await juliet.hears(published(ROMEO, NICK, "current"))
    assert juliet.payloads[ROMEO, NICK, "current"].text == "Romeo"
    romeo = await come(server, "romeo", "attic", NOTES)
    await romeo.hears(published(ROMEO, NOTES, "one"))
    assert await romeo.items(None, NOTES) == {"one": "text of one"}
    await refused(juliet.items(ROMEO, NOTES), "not-allowed closed-node", "item-not-found")
    await juliet.hears()
    await go(romeo, juliet)
    print("   after SIGKILL: ok")


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        juliet = await come(server, "juliet", "balcony", NICK, NOTES)
        await eventing(server, juliet)
        await missed(server, juliet)
        await survived(server, juliet)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
logging.getLogger("slixmpp.xmlstream.xmlstream").setLevel(logging.CRITICAL)  # one is cut off while it writes
asyncio.run(main(sys.argv[1]))
