"""Personal eventing (XEP-0163) as slixmpp speaks it: what contacts and own devices hear, at once and at login, and others do not;
avatars and vCards (XEP-0084, 0153, 0054, 0292, 0398), bookmarks old and new (XEP-0402, 0048, 0049), what was read (XEP-0490),
nicknames (XEP-0172). All of it after SIGKILL, too.

usage: personal.py BINARY"""
import asyncio
import base64
import hashlib
import itertools
import logging
import sys

from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

from client import TIMEOUT, befriend
from person import Event, Person, contents, refused
from server import Server

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
NICK = "http://jabber.org/protocol/nick"
NOTES = "urn:example:notes"
DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
BOOKMARKS, OLD_BOOKMARKS = "urn:xmpp:bookmarks:1", "storage:bookmarks"
DISPLAYED = "urn:xmpp:mds:displayed:0"
PRIVATE = {"persist_items": True, "access_model": "whitelist", "max_items": "max", "send_last_published_item": "never"}
NUMBERS = itertools.count()
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def element(namespace, name, /, text=None, **attributes):
    made = ET.Element(f"{{{namespace}}}{name}", attributes)
    made.text = text
    return made


def published(who, node, *items):
    return Event(who, node, "published", items)


async def come(server, name, resource, *interests, plugins=()):
    person = Person(server, name, resource, interests)
    for plugin in plugins:
        person.register_plugin(plugin)
    return await person.come()


async def go(*people):
    for person in people:
        await person.go()


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


async def show(person, image, kind, **options):
    """Sets the avatar as modern clients do."""
    avatar = person.plugin["xep_0084"]
    name = avatar.generate_id(image)
    form = {"options": person.form("publish-options", **options)} if options else {}
    await avatar.publish_avatar(image, **form)
    await avatar.publish_avatar_metadata({"id": name, "type": kind, "bytes": len(image)}, **form)
    return name


async def photo(person, whose):
    """As elder clients see it: type and bytes. Where there is no vCard there is none."""
    try:
        vcard = (await person.plugin["xep_0054"].get_vcard(whose))["vcard_temp"].xml
    except IqError:
        return None, b""
    return vcard.findtext("{vcard-temp}PHOTO/{vcard-temp}TYPE"), base64.b64decode(
        vcard.findtext("{vcard-temp}PHOTO/{vcard-temp}BINVAL") or "")


async def hash_shown(person, by):
    """In a presence sent now (XEP-0153)."""
    status = f"number {next(NUMBERS)}"
    by.send_presence(pstatus=status)
    while (presence := await asyncio.wait_for(person.presences.get(), TIMEOUT))["status"] != status:
        pass
    return presence.xml.findtext("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")


async def hash_told(person, whose, wanted):
    """In a presence that the server sends by itself, because it is another."""
    found = None
    while found != (whose, wanted):
        presence = await asyncio.wait_for(person.presences.get(), TIMEOUT)
        found = presence["from"].bare, presence.xml.findtext("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")


async def avatars(server):
    plugins = ["xep_0054", "xep_0084"]
    romeo = await come(server, "romeo", "phone", plugins=plugins)
    juliet = await come(server, "juliet", "window", plugins=plugins)
    tybalt = await come(server, "tybalt", "street", plugins=plugins)
    assert "urn:xmpp:pep-vcard-conversion:0" in await romeo.announced(ROMEO)

    # New to old (XEP-0398 §3.1, §4): the photo in the vCard, its hash in presence; a stranger sees it where the node is open.
    name = await show(romeo, PNG, "image/png")
    await romeo.hears(published(ROMEO, METADATA, name))
    await juliet.hears(published(ROMEO, METADATA, name))
    found = await juliet.plugin["xep_0084"].retrieve_avatar(ROMEO, name)
    assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == PNG
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    assert await hash_shown(juliet, romeo) == name
    assert await photo(tybalt, ROMEO) == (None, b""), "an avatar for contacts is shown to a stranger"
    nurse = await come(server, "nurse", "house", plugins=plugins)
    await show(nurse, GIF, "image/gif", access_model="open")
    assert await photo(tybalt, "nurse@localhost") == ("image/gif", GIF)

    # Old to new (§3.2), and what else is in the vCard stays.
    vcard = juliet.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Juliet Capulet"
    vcard["PHOTO"]["TYPE"] = "image/png"
    vcard["PHOTO"]["BINVAL"] = PNG
    await juliet.plugin["xep_0054"].publish_vcard(vcard, jid=juliet.boundjid.bare)
    name = hashlib.sha1(PNG).hexdigest()
    await romeo.hears(published(JULIET, METADATA, name))
    info = romeo.payloads[JULIET, METADATA, name].find(f"{{{METADATA}}}info")
    assert (info.get("id"), info.get("type"), info.get("bytes")) == (name, "image/png", str(len(PNG))), info.attrib
    assert (await romeo.items(JULIET, DATA, name))[name] == base64.b64encode(PNG).decode()
    assert await hash_shown(romeo, juliet) == name
    await show(juliet, GIF, "image/gif")
    assert await photo(romeo, JULIET) == ("image/gif", GIF)
    vcard = (await romeo.plugin["xep_0054"].get_vcard(JULIET))["vcard_temp"]
    assert vcard["FN"] == "Juliet Capulet", vcard

    # None any more: metadata that tell of none.
    await juliet.plugin["xep_0084"].stop()
    assert await photo(romeo, JULIET) == (None, b"")
    await hash_told(romeo, JULIET, "")
    assert await hash_shown(romeo, juliet) == "", "who was away keeps the picture"
    await show(juliet, PNG, "image/png")
    await go(romeo, juliet, nurse, tybalt)
    print("   avatars and vCards, both ways: ok")


async def profile(server):
    """One person, in vCard4 and vcard-temp."""
    romeo = await come(server, "romeo", "phone", plugins=["xep_0054", "xep_0292"])
    card = romeo.plugin["xep_0292"].stanza.VCard4()
    card.set_full_name("Romeo Montague")
    await romeo.publish(None, "urn:xmpp:vcard4", "current", card.xml, access_model="open")
    assert (await romeo.plugin["xep_0054"].get_vcard(ROMEO))["vcard_temp"]["FN"] == "Romeo Montague"
    assert await photo(romeo, ROMEO) == ("image/png", PNG)
    await romeo.go()
    print("   vCards old and new: ok")


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
    return name


async def survived(server, juliet, read):
    """The last state of everything, in every form, and told at login."""
    server.kill()
    juliet.abort()
    server.start()
    plugins = ["xep_0048", "xep_0054", "xep_0172", "xep_0490"]
    romeo = await come(server, "romeo", "attic", BOOKMARKS, plugins=plugins)
    juliet = await come(server, "juliet", "attic", NICK, METADATA, NOTES, plugins=["xep_0054"])
    await juliet.hears(published(ROMEO, NICK, "current"), published(ROMEO, METADATA, hashlib.sha1(PNG).hexdigest()),
                       published(JULIET, METADATA, hashlib.sha1(PNG).hexdigest()), ordered=False)
    assert juliet.payloads[ROMEO, NICK, "current"].text == "Romeo"
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    assert (await juliet.plugin["xep_0054"].get_vcard(ROMEO))["vcard_temp"]["FN"] == "Romeo Montague"
    assert list(await romeo.items(None, BOOKMARKS)) == ["hall@rooms.example"]
    assert old_ones((await romeo.plugin["xep_0048"].get_bookmarks()).xml) == {"hall@rooms.example": "The Great Hall"}
    assert await romeo.items(None, NOTES) == {"one": "text of one"}
    marks = (await romeo.plugin["xep_0490"].catch_up()).xml
    assert len(contents(marks)) == 301
    assert read in [each.get("id") for each in marks.iter("{urn:xmpp:sid:0}stanza-id")]
    await refused(juliet.items(ROMEO, NOTES), "not-allowed closed-node", "item-not-found")
    await go(romeo, juliet)
    print("   all of it after SIGKILL: ok")


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        juliet = await come(server, "juliet", "balcony", NICK, NOTES, BOOKMARKS, OLD_BOOKMARKS, DISPLAYED)
        await eventing(server, juliet)
        await missed(server, juliet)
        await avatars(server)
        await profile(server)
        await bookmarks(server, juliet)
        read = await markers(server, juliet)
        await juliet.hears()
        await survived(server, juliet, read)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
logging.getLogger("slixmpp.xmlstream.xmlstream").setLevel(logging.CRITICAL)  # one is cut off while it writes
asyncio.run(main(sys.argv[1]))
