"""Avatars and vCards as slixmpp speaks them: set in the new form (XEP-0084), seen in the elder one (XEP-0054, XEP-0153) and the other
way round (XEP-0398); vCard4 and vcard-temp are one person (XEP-0292); what is for contacts is not for strangers. After SIGKILL, too.

usage: avatars.py BINARY"""
import asyncio
import base64
import itertools
import logging
import sys

from client import TIMEOUT, befriend
from person import come, go, published
from pictures import GIF, PNG, PNG_NAME, photo, show
from server import Server

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
DATA, METADATA, VCARD4 = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata", "urn:xmpp:vcard4"
PLUGINS = ["xep_0054", "xep_0084"]
NUMBERS = itertools.count()


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


async def new_to_old(romeo, juliet, nurse, tybalt):
    """§3.1, §4: the photo in the vCard, its hash in presence; a stranger sees it where the node is open."""
    assert "urn:xmpp:pep-vcard-conversion:0" in await romeo.announced(ROMEO)
    name = await show(romeo, PNG, "image/png")
    for who in (romeo, juliet):
        await who.hears(published(ROMEO, METADATA, name))
    found = await juliet.plugin["xep_0084"].retrieve_avatar(ROMEO, name)
    assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == PNG
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    assert await hash_shown(juliet, romeo) == name
    assert await photo(tybalt, ROMEO) == (None, b""), "an avatar for contacts is shown to a stranger"
    await show(nurse, GIF, "image/gif", access_model="open")
    assert await photo(tybalt, "nurse@localhost") == ("image/gif", GIF)
    print("   a new avatar in an old vCard, to whom it is shown: ok")


async def old_to_new(romeo, juliet):
    """§3.2, and what else is in the vCard stays."""
    vcard = juliet.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Juliet Capulet"
    vcard["PHOTO"]["TYPE"] = "image/png"
    vcard["PHOTO"]["BINVAL"] = PNG
    await juliet.plugin["xep_0054"].publish_vcard(vcard, jid=juliet.boundjid.bare)
    await romeo.hears(published(JULIET, METADATA, PNG_NAME))
    info = romeo.payloads[JULIET, METADATA, PNG_NAME].find(f"{{{METADATA}}}info")
    assert (info.get("id"), info.get("type"), info.get("bytes")) == (PNG_NAME, "image/png", str(len(PNG))), info.attrib
    assert (await romeo.items(JULIET, DATA, PNG_NAME))[PNG_NAME] == base64.b64encode(PNG).decode()
    assert await hash_shown(romeo, juliet) == PNG_NAME
    await show(juliet, GIF, "image/gif")
    assert await photo(romeo, JULIET) == ("image/gif", GIF)
    assert await full_name(romeo, JULIET) == "Juliet Capulet"
    assert "Juliet Capulet" in (await romeo.items(JULIET, VCARD4))["current"]
    print("   an old photo as a new avatar, and the rest of the vCard: ok")


async def removed(romeo, juliet):
    """Metadata that tell of none (XEP-0084 §4.2)."""
    await juliet.plugin["xep_0084"].stop()
    assert await photo(romeo, JULIET) == (None, b"")
    await hash_told(romeo, JULIET, "")
    assert await hash_shown(romeo, juliet) == "", "who was away keeps the picture"
    await show(juliet, PNG, "image/png")
    assert await hash_shown(romeo, juliet) == PNG_NAME
    print("   an avatar removed and another shown: ok")


async def one_person(romeo, juliet):
    """vCard4 and vcard-temp."""
    romeo.register_plugin("xep_0292")
    card = romeo.plugin["xep_0292"].stanza.VCard4()
    card.set_full_name("Romeo Montague")
    await romeo.publish(None, VCARD4, "current", card.xml, access_model="open")
    assert await full_name(juliet, ROMEO) == "Romeo Montague"
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    print("   vCards old and new: ok")


async def full_name(person, whose):
    return (await person.plugin["xep_0054"].get_vcard(whose))["vcard_temp"]["FN"]


async def survived(server, *people):
    server.kill()
    for person in people:
        person.abort()
    server.start()
    juliet = await come(server, "juliet", "attic", plugins=PLUGINS)
    await juliet.hears(*(published(who, METADATA, PNG_NAME) for who in (ROMEO, JULIET)), ordered=False)
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    assert await full_name(juliet, ROMEO) == "Romeo Montague"
    romeo = await come(server, "romeo", "attic", plugins=PLUGINS)
    assert await hash_shown(juliet, romeo) == PNG_NAME
    await go(romeo, juliet)
    print("   after SIGKILL: ok")


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        romeo, juliet, nurse, tybalt = people = [
            await come(server, name, "study", plugins=PLUGINS) for name in ("romeo", "juliet", "nurse", "tybalt")]
        await befriend(romeo, juliet)
        await new_to_old(romeo, juliet, nurse, tybalt)
        await old_to_new(romeo, juliet)
        await removed(romeo, juliet)
        await one_person(romeo, juliet)
        await survived(server, *people)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
