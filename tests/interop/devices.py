"""What a person's devices share, as slixmpp speaks it: bookmarks, old and new (XEP-0402, 0048, 0049), and what was read (XEP-0490). Written
on one it is heard on the others, also on one that was not looked at (XEP-0352); nobody else hears of it. After SIGKILL, too.

usage: devices.py BINARY"""
import asyncio
import logging
import sys

from slixmpp.xmlstream import ET

from client import befriend
from person import Event, come, contents, element, go, published, refused
from server import Server

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
BOOKMARKS, OLD_BOOKMARKS = "urn:xmpp:bookmarks:1", "storage:bookmarks"
DISPLAYED = "urn:xmpp:mds:displayed:0"
PRIVATE = {"persist_items": True, "access_model": "whitelist", "max_items": "max", "send_last_published_item": "never"}


def conference(name, nick):
    made = element(BOOKMARKS, "conference", name=name, autojoin="true")
    ET.SubElement(made, f"{{{BOOKMARKS}}}nick").text = nick
    return made


def old_ones(xml):
    """Rooms of a list of the elder form: JID to name."""
    return {each.get("jid"): each.get("name") for each in xml.iter(f"{{{OLD_BOOKMARKS}}}conference")}


async def bookmarks(server, juliet):
    """One list, whoever writes it in whichever form."""
    phone = await come(server, "romeo", "phone", BOOKMARKS)
    tower = await come(server, "romeo", "tower", plugins=["xep_0048"])
    garden, hall, vault = "garden@rooms.example", "hall@rooms.example", "vault@rooms.example"
    assert {f"{BOOKMARKS}#compat", f"{BOOKMARKS}#compat-pep"} <= await phone.announced(ROMEO)

    async def private():
        return old_ones((await tower.plugin["xep_0048"].get_bookmarks()).xml)

    async def list_item():
        return old_ones((await tower.pubsub.get_items(None, OLD_BOOKMARKS)).xml)

    async def write(method, **rooms):
        made = tower.plugin["xep_0048"].stanza.Bookmarks()
        for jid, name in rooms.items():
            made.add_conference(f"{jid}@rooms.example", "romeo", name=name, autojoin=True)
        await tower.plugin["xep_0048"].set_bookmarks(made, method=method)

    # Written in the new form.
    garden_as_new = conference("The Garden", "romeo")
    ET.SubElement(garden_as_new, f"{{{BOOKMARKS}}}extensions").append(element("urn:example:colour", "colour", "green"))
    await phone.publish(None, BOOKMARKS, garden, garden_as_new, **PRIVATE)
    await phone.hears(published(ROMEO, BOOKMARKS, garden))
    assert await private() == await list_item() == {garden: "The Garden"}
    assert (await tower.heard()).count(published(ROMEO, OLD_BOOKMARKS, "current")) == 1

    # Written in the elder form, as private XML: what is the same is not told of (§5.3.2).
    await write("xep_0049", garden="The Garden", hall="The Hall")
    await phone.hears(published(ROMEO, BOOKMARKS, hall))
    assert list(await phone.items(None, BOOKMARKS)) == [garden, hall]
    assert "green" in (await phone.items(None, BOOKMARKS, garden))[garden], "extensions are lost"
    assert await list_item() == {garden: "The Garden", hall: "The Hall"}
    await write("xep_0049", hall="The Great Hall")
    await phone.hears(published(ROMEO, BOOKMARKS, hall), Event(ROMEO, BOOKMARKS, "retracted", (garden,)), ordered=False)

    # Written as one item, as elder clients with eventing do.
    await tower.heard()
    await write("xep_0223", hall="The Great Hall", vault="The Vault")
    await phone.hears(published(ROMEO, BOOKMARKS, vault))
    assert phone.payloads[ROMEO, BOOKMARKS, vault].get("name") == "The Vault"
    assert phone.payloads[ROMEO, BOOKMARKS, vault].get("autojoin") in ("true", "1")
    assert await private() == {hall: "The Great Hall", vault: "The Vault"}

    await phone.retract(None, BOOKMARKS, vault)
    await phone.hears(Event(ROMEO, BOOKMARKS, "retracted", (vault,)))
    assert await private() == await list_item() == {hall: "The Great Hall"}
    for node in (BOOKMARKS, OLD_BOOKMARKS):
        await refused(juliet.items(ROMEO, node), "not-allowed closed-node", "item-not-found")
        assert node not in await juliet.nodes(ROMEO)
    await go(phone, tower)
    print("   bookmarks, three forms of one list: ok")


def mark(person, payloads):
    return payloads[ROMEO, DISPLAYED, person].find("{urn:xmpp:sid:0}stanza-id").get("id")


def marked(person):
    return [each for each in person.messages if "urn:xmpp:chat-markers:0" in each]


async def said(juliet, to, body):
    """Its name in the archive of who reads it."""
    juliet.send_message(ROMEO, body, mtype="chat")
    while (message := await to.next_message())["body"] != body:
        pass
    return message["stanza_id"]["id"]


async def markers(server, juliet):
    """What was read on the phone is read on the desktop."""
    phone = await come(server, "romeo", "phone", plugins=["xep_0490", "xep_0280"])
    desktop = await come(server, "romeo", "desktop", plugins=["xep_0490", "xep_0280"])
    await desktop.plugin["xep_0280"].enable()
    name = await said(juliet, phone, "art thou there")
    await phone.plugin["xep_0490"].flag_chat(JULIET, name)
    for who in (phone, desktop):
        await who.hears(published(ROMEO, DISPLAYED, JULIET))
        assert mark(JULIET, who.payloads) == name

    # In passing (§4.5.1): told to juliet as a marker of XEP-0333, kept by the server, which takes its own part out.
    assert "urn:xmpp:mds:server-assist:0" in await phone.announced(ROMEO)
    name = await said(juliet, phone, "and now")
    message = phone.make_message(JULIET)
    message.append(element("urn:xmpp:chat-markers:0", "displayed", id="the message's"))
    message.append(element(DISPLAYED, "displayed"))
    message.xml[-1].append(element("urn:xmpp:sid:0", "stanza-id", by=ROMEO, id=name))
    message.send()
    for who in (phone, desktop):
        await who.hears(published(ROMEO, DISPLAYED, JULIET))
        assert mark(JULIET, who.payloads) == name
    await juliet.until(lambda: marked(juliet), "a marker")
    for who in (juliet, desktop):
        await who.answered()
        assert not [each for each in who.messages if "<displayed" in each and DISPLAYED in each], "told to the other"

    # Hundreds of chats, of which a new device learns at once.
    chats = [f"friend{number}@remote.example" for number in range(300)]
    await asyncio.gather(*(phone.plugin["xep_0490"].flag_chat(chat, f"id-{chat}") for chat in chats))
    await desktop.hears(*(published(ROMEO, DISPLAYED, chat) for chat in chats))
    tablet = await come(server, "romeo", "tablet", plugins=["xep_0490"])
    await tablet.hears()
    assert set(contents((await tablet.plugin["xep_0490"].catch_up()).xml)) == {JULIET, *chats}
    await refused(juliet.items(ROMEO, DISPLAYED), "not-allowed closed-node", "item-not-found")
    await go(phone, desktop, tablet)
    print("   what was read, on two devices, with the server's help, 300 chats: ok")


async def inactive(server):
    """A phone that nobody looks at hears nothing for a while, then the last of each item (XEP-0352)."""
    phone = await come(server, "romeo", "phone", BOOKMARKS, plugins=["xep_0490", "xep_0352"])
    desktop = await come(server, "romeo", "desktop", plugins=["xep_0490"])
    phone.plugin["xep_0352"].send_inactive()
    await phone.answered()
    for chat, name in (("nurse@localhost", "1"), (JULIET, "2"), ("nurse@localhost", "3")):
        await desktop.plugin["xep_0490"].flag_chat(chat, name)
    await desktop.publish(None, BOOKMARKS, "vault@rooms.example", conference("The Vault", "romeo"), **PRIVATE)
    await desktop.retract(None, BOOKMARKS, "vault@rooms.example")
    phone.plugin["xep_0352"].send_active()
    await phone.hears(published(ROMEO, DISPLAYED, JULIET), published(ROMEO, DISPLAYED, "nurse@localhost"),
                      Event(ROMEO, BOOKMARKS, "retracted", ("vault@rooms.example",)))
    assert mark("nurse@localhost", phone.payloads) == "3"
    await go(phone, desktop)
    print("   the last of each, on a phone that was not looked at: ok")


async def survived(server, juliet):
    server.kill()
    juliet.abort()
    server.start()
    romeo = await come(server, "romeo", "attic", BOOKMARKS, plugins=["xep_0048", "xep_0490"])
    assert list(await romeo.items(None, BOOKMARKS)) == ["hall@rooms.example"]
    assert old_ones((await romeo.plugin["xep_0048"].get_bookmarks()).xml) == {"hall@rooms.example": "The Great Hall"}
    marks = (await romeo.plugin["xep_0490"].catch_up()).xml
    assert len(contents(marks)) == 302
    assert "3" in [each.get("id") for each in marks.iter("{urn:xmpp:sid:0}stanza-id")]
    await romeo.go()
    print("   after SIGKILL: ok")


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet"):
            server.user_add(name, f"secret of {name}")
        juliet = await come(server, "juliet", "balcony", BOOKMARKS, OLD_BOOKMARKS, DISPLAYED)
        romeo = await come(server, "romeo", "phone")
        await befriend(romeo, juliet)
        await romeo.go()
        await bookmarks(server, juliet)
        await markers(server, juliet)
        await inactive(server)
        await juliet.hears()
        await survived(server, juliet)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
