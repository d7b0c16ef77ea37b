"""A channel with two faces, by slixmpp: who joined by MIX (XEP-0369, XEP-0405) and who entered by MUC (XEP-0045) hold one
conversation. A phone that sleeps finds all of it, once; nicks, name and rights are the same by either face, also after SIGKILL.

usage: channels.py BINARY"""
import asyncio
import logging
import sys

from slixmpp import JID
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

from client import TIMEOUT
from occupant import MUC, SERVICE, USER, Occupant, come, ids, refused, settled
from server import Server

COVEN = JID(f"coven@{SERVICE}")
MIX, PAM, NODES = "urn:xmpp:mix:core:1", "urn:xmpp:mix:pam:2", "urn:xmpp:mix:nodes:"
ROMEO, TYBALT, NURSE = (f"{name}@localhost" for name in ("romeo", "tybalt", "nurse"))


class Participant(Occupant):
    """Speaks MIX, and says so in its capabilities (XEP-0115), by which its server knows whom to tell."""

    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        for plugin in ("xep_0060", "xep_0115", "xep_0369", "xep_0403", "xep_0404", "xep_0405"):
            self.register_plugin(plugin)
        self.mix, self.pam, self.nodes = (self.plugin[f"xep_{number}"] for number in ("0369", "0405", "0060"))
        self.del_event_handler("entity_caps", self.plugin["xep_0115"]._process_caps)

    async def on_start(self, event):
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        await super().on_start(event)

    async def joined(self):
        """Channels of its roster to what it is called in each."""
        _contacts, channels = await self.pam.get_mix_roster()
        return {str(each["jid"]): each["channel"]["participant-id"] for each in channels}

    async def hears_in(self, channel, nick, body):
        """The message as participants get it: from the stable id, with the nick inside; its id is the archive's (§7.1.6)."""
        message = await self.gets("message", None, type="groupchat", body=body)
        assert message["from"].bare == channel and message["mix"]["nick"] == nick, message
        return message

    async def own_archive(self):
        """Bodies that came from channels."""
        found, page = [], {}
        while True:
            answer = await self.plugin["xep_0313"].retrieve(rsm={"max": 20, **page})
            found += [result["mam_result"]["forwarded"]["stanza"] for result in answer["mam"]["results"]]
            if answer["mam_fin"]["complete"]:
                return [each["body"] for each in found if each["type"] == "groupchat" and each["body"]]
            page = {"after": answer["mam_fin"]["rsm"]["last"]}

    async def participants(self, channel):
        """Nick to address, or None."""
        return {nick: jid and str(jid) for _id, nick, jid in await self.mix.list_participants(channel)}

    async def publishes(self, channel, node, item, payload=None):
        await self.nodes.publish(channel, f"{NODES}{node}", item, payload)

    async def destroys(self, channel):
        iq = self.make_iq_set(ET.Element(f"{{{MIX}}}destroy", {"channel": channel.user}), ito=channel.server)
        await iq.send(timeout=TIMEOUT)


async def arrive(server, name, resource):
    return await Participant(server, name, resource).come()


async def found(romeo):
    features, _form, identities = await romeo.room_info(SERVICE)
    assert MIX in features and f"{MIX}#create-channel" in features and MUC in features, features
    assert {("conference", "mix"), ("conference", "text")} <= {each[:2] for each in identities}, identities
    assert await romeo.pam.check_server_capability(), "the account knows nothing of MIX"
    print("   the service, and what the account can: ok", flush=True)


async def make(romeo, juliet):
    """Made and joined by MIX; entered by MUC. Whoever made it is its owner by both."""
    assert await romeo.mix.create_channel(JID(SERVICE), COVEN.user) == COVEN.user
    await refused(romeo.mix.create_channel(JID(SERVICE), COVEN.user), "conflict")
    missing = await romeo.pam.join_channel(COVEN, "Romeo", {f"{NODES}{node}" for node in ("messages", "participants", "info")})
    assert not missing, f"not subscribed to {missing}"
    joined = await romeo.joined()
    assert list(joined) == [COVEN] and joined[COVEN], joined
    assert await romeo.muc.get_affiliation_list(COVEN, "owner") == [ROMEO]
    features, _form, identities = await juliet.room_info(COVEN)
    assert {MIX, MUC} <= features and {("conference", "mix"), ("conference", "text")} <= {each[:2] for each in identities}, (features, identities)
    assert {f"{NODES}{node}" for node in ("messages", "participants", "info")} <= await romeo.mix.list_mix_nodes(COVEN)
    await romeo.configure(COVEN, membersonly=False)
    own, *_rest = await juliet.enter(COVEN, "Juliet")
    assert 201 not in own["muc"]["status_codes"] and own["muc"]["affiliation"] == "none", own
    print("   made by one face, entered by the other: ok", flush=True)


async def converse(romeo, juliet):
    """One message, one id, by whichever face."""
    name = romeo.say(COVEN, "When shall we three")
    by_room = await juliet.hears(f"{COVEN}/Romeo", "When shall we three")
    room_id, occupant = ids(by_room, COVEN)
    own = await romeo.hears_in(COVEN, "Romeo", "When shall we three")
    assert by_room["id"] == name and own["id"] == room_id and own["from"].resource == occupant, (by_room, own)
    assert own.xml.findtext(f".//{{{MIX}}}submission-id") in (name, None), own
    juliet.say(COVEN, "meet again?")
    own_id, _occupant = ids(await juliet.hears(f"{COVEN}/Juliet", "meet again?"), COVEN)
    message = await romeo.hears_in(COVEN, "Juliet", "meet again?")
    assert message["id"] == own_id and message["to"].bare == ROMEO, message
    assert list(await juliet.room_archive(COVEN)) == list(await romeo.room_archive(COVEN)) == [room_id, own_id]
    assert await romeo.own_archive() == ["When shall we three", "meet again?"]
    print("   one conversation, one archive: ok", flush=True)


async def sleep(server, romeo, juliet):
    """The phone is away; its account's archive has what was said meanwhile, once, and what is said next it hears, once."""
    await romeo.go()
    for number in range(3):
        juliet.say(COVEN, f"In thunder {number}")
        await juliet.hears(f"{COVEN}/Juliet", f"In thunder {number}")
    romeo = await arrive(server, "romeo", "phone")
    assert list(await romeo.joined()) == [COVEN]
    said = ["When shall we three", "meet again?", *(f"In thunder {number}" for number in range(3))]
    assert await romeo.own_archive() == said
    juliet.say(COVEN, "lightning")
    await romeo.hears_in(COVEN, "Juliet", "lightning")
    await romeo.gets_no("message", None, type="groupchat", body="lightning")
    # Told at login, or not: but never twice.
    heard = [each["body"] for each in romeo.kept if each.name == "message" and each["type"] == "groupchat"]
    assert len(heard) == len(set(heard)), heard
    assert await romeo.own_archive() == [*said, "lightning"]
    print("   away and back: ok", flush=True)
    return romeo


async def names(romeo, juliet):
    """A nick is one person's, by both faces; a name of the channel is one, too."""
    assert await romeo.mix.set_nick(COVEN, "First witch") == "First witch"
    romeo.say(COVEN, "Where the place?")
    await juliet.hears(f"{COVEN}/First witch", "Where the place?")
    await refused(romeo.mix.set_nick(COVEN, "Juliet"), "conflict")
    juliet.send_presence(pto=f"{COVEN}/First witch")
    await juliet.gets("presence", f"{COVEN}/First witch", condition="conflict")
    assert (await romeo.participants(COVEN))["First witch"] in (ROMEO, None)
    await romeo.configure(COVEN, roomname="The heath", roomdesc="Upon it")
    info = await romeo.mix.get_channel_info(COVEN)
    assert (info["Name"], info["Description"]) == ("The heath", "Upon it"), info
    print("   nicks and names: ok", flush=True)


async def preferred(server, romeo):
    """XEP-0404: where everybody decides, who agrees is named, and who does not is not; who hides is in no open channel."""
    await romeo.configure(COVEN, whois="maybe")
    nurse = await arrive(server, "nurse", "street")
    anon = nurse.plugin["xep_0404"]
    assert not await nurse.pam.join_channel(COVEN, "Nurse", {f"{NODES}participants"})
    assert await nurse.participants(COVEN) == {"First witch": None, "Nurse": None}
    options = await anon.get_preferences(COVEN)
    assert options.get_fields()["JID Visibility"]["value"] == "default", options

    async def prefer(value):
        form = nurse.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field("JID Visibility", value=value)
        iq = nurse.make_iq_set(ito=COVEN)
        iq["user_preference"].append(form)  # slixmpp's own set_preferences() loses the form.
        answer = await iq.send(timeout=TIMEOUT)
        return answer["user_preference"]["form"].get_values()

    assert (await prefer("always"))["JID Visibility"] == "always"
    assert await nurse.participants(COVEN) == {"First witch": None, "Nurse": NURSE}
    assert (await prefer("never"))["JID Visibility"] == "never"
    await romeo.configure(COVEN, whois="anyone")
    await settled(nurse)
    assert not await nurse.joined(), "hidden in an open channel"
    await nurse.go()
    print("   named, or not, as they prefer: ok", flush=True)


async def banned(server, romeo, juliet):
    """From either face, by either face."""
    tybalt = await come(server, "tybalt", "street")
    await tybalt.enter(COVEN, "Tybalt", maxstanzas=0)
    by_node = f"{NODES}banned" in await romeo.mix.list_mix_nodes(COVEN)
    if by_node:  # XEP-0406
        await romeo.publishes(COVEN, "banned", TYBALT)
    else:
        await romeo.muc.set_affiliation(COVEN, "outcast", jid=TYBALT)
    await tybalt.sees(f"{COVEN}/Tybalt", 110, 301, type="unavailable", affiliation="outcast")
    await juliet.sees(f"{COVEN}/Tybalt", 301, type="unavailable", affiliation="outcast")
    await refused(tybalt.enter(COVEN, "Tybalt"), "forbidden", kind="auth")
    nurse = await arrive(server, "nurse", "street")
    assert not await nurse.pam.join_channel(COVEN, "Nurse", {f"{NODES}messages", f"{NODES}participants"})
    nurse.say(COVEN, "God ye good morrow")
    await juliet.hears(f"{COVEN}/Nurse", "God ye good morrow")
    await romeo.muc.set_affiliation(COVEN, "outcast", jid=NURSE)
    assert await romeo.members(COVEN, "outcast") == {"outcast": {TYBALT, NURSE}}
    assert "Nurse" not in await romeo.participants(COVEN)
    nurse.say(COVEN, "Is it good den?")
    await nurse.gets("message", COVEN, type="error")
    await refused(nurse.pam.join_channel(COVEN, "Nurse"), "forbidden", "not-allowed", "item-not-found")
    await settled(juliet)
    await juliet.gets_no("message", f"{COVEN}/Nurse", body="Is it good den?")
    assert not await nurse.joined(), "banned, and still in the roster"
    if by_node:
        await romeo.nodes.retract(COVEN, f"{NODES}banned", TYBALT)
    else:
        await romeo.muc.set_affiliation(COVEN, "none", jid=TYBALT)
    await tybalt.enter(COVEN, "Tybalt", maxstanzas=0)
    for person in (tybalt, nurse):
        await person.go()
    print("   banned from either face: ok", flush=True)


async def survive(server, romeo, juliet):
    before = await romeo.own_archive()
    info = await romeo.mix.get_channel_info(COVEN)
    server.kill()
    for person in (romeo, juliet):
        person.abort()
    server.start()
    romeo, juliet = await arrive(server, "romeo", "phone"), await come(server, "juliet", "balcony")
    assert await romeo.own_archive() == before and await romeo.mix.get_channel_info(COVEN) == info
    await juliet.enter(COVEN, "Juliet", maxstanzas=0)
    juliet.say(COVEN, "Anon")
    await romeo.hears_in(COVEN, "Juliet", "Anon")
    romeo.say(COVEN, "Hover through the fog")
    await juliet.hears(f"{COVEN}/First witch", "Hover through the fog")
    print("   all of it after SIGKILL: ok", flush=True)
    return romeo, juliet


async def end(romeo, juliet):
    """Left, the roster is without it; destroyed, occupants are told."""
    await romeo.pam.leave_channel(COVEN)
    assert not await romeo.joined()
    juliet.say(COVEN, "Fair is foul")
    await juliet.hears(f"{COVEN}/Juliet", "Fair is foul")
    await settled(romeo)
    assert romeo.find("message", None, {"body": "Fair is foul"}) is None, "who has left hears it"
    await romeo.destroys(COVEN)
    await juliet.gets("presence", f"{COVEN}/Juliet", type="unavailable", has=[f"{{{USER}}}x/{{{USER}}}destroy"])
    try:
        await romeo.mix.list_mix_nodes(COVEN)
        raise AssertionError("it is there still")
    except IqError as error:
        assert error.condition in ("item-not-found", "gone"), error.iq
    print("   left, destroyed: ok", flush=True)


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        romeo, juliet = await arrive(server, "romeo", "phone"), await come(server, "juliet", "balcony")
        await found(romeo)
        await make(romeo, juliet)
        await converse(romeo, juliet)
        romeo = await sleep(server, romeo, juliet)
        await names(romeo, juliet)
        await preferred(server, romeo)
        await banned(server, romeo, juliet)
        romeo, juliet = await survive(server, romeo, juliet)
        await end(romeo, juliet)
        for person in (romeo, juliet):
            await person.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
