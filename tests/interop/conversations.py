"""Conversations, as its code of late 2025 speaks: how it finds the service, makes a private group and a public channel, invites,
joins, catches up, reads the rights of members; stanza by stanza what it sends, and what it must get to believe in encryption.

usage: conversations.py BINARY"""
import asyncio
import base64
import logging
import sys
import uuid

from slixmpp.xmlstream import ET

from occupant import MUC, SERVICE, USER, ids, refused, settled
from pictures import PNG, PNG_NAME
from server import Server
from spoken import DATA, Spoken

BOOKMARKS, MAM = "urn:xmpp:bookmarks:1", "urn:xmpp:mam:2"
GROUP, CHANNEL = f"vaporiwe@{SERVICE}", f"verona@{SERVICE}"
PRIVATE = {"mam": "1", **{f"muc#roomconfig_{name}": value for name, value in {
    "persistentroom": "1", "membersonly": "1", "publicroom": "0", "whois": "anyone", "changesubject": "0", "allowinvites": "0",
    "enablearchiving": "1", "mam": "1", "enablelogging": "0"}.items()}}
PUBLIC = PRIVATE | {"muc#roomconfig_membersonly": "0", "muc#roomconfig_publicroom": "1", "muc#roomconfig_whois": "moderators"}


class Phone(Spoken):
    async def finds(self):
        """MultiUserChatManager.getServices: the first that is a conference of text and no gateway."""
        items = "http://jabber.org/protocol/disco#items"
        for item in (await self.asks("get", "localhost", f"<query xmlns='{items}'/>")).iter(f"{{{items}}}item"):
            identities, features, _form = await self.info(item.get("jid"))
            if MUC in features and ("conference", "text") in identities and "jabber:iq:gateway" not in features:
                return item.get("jid")
        raise AssertionError("it finds no service")

    async def makes(self, room, options, name):
        """Joins; asks for the form and sends it back without waiting for its own presence."""
        await refused(self.info(room), "item-not-found")
        self.join(room, "since='1970-01-01T00:00:00Z'")
        form = await self.form(room)
        await self.gets("presence", f"{room}/{self.boundjid.user}", affiliation="owner", role="moderator",
                        has=[f"{{{USER}}}x/{{{USER}}}status[@code='201']"])
        await self.configures(room, options | {"muc#roomconfig_roomname": name}, form)
        # Nothing else makes it look again at what the room is (its issue 3774).
        await self.gets("message", room, type="groupchat", has=[f"{{{USER}}}x/{{{USER}}}status[@code='104']"])

    async def configures(self, room, options, form=None):
        """Data.submit: every field as it came, with labels and choices; only those of the form have a new value."""
        if "muc#roomconfig_allowinvites" in options:
            options = options | {"{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites": options["muc#roomconfig_allowinvites"]}
        fields = []
        for field in (form or await self.form(room)).iterfind(f"{{{DATA}}}field"):
            name = field.get("var")
            if name is None and field.get("type") == "fixed":
                continue
            if name in options:
                field = ET.Element(f"{{{DATA}}}field", {"var": name})
                ET.SubElement(field, f"{{{DATA}}}value").text = options[name]
            fields.append(field)
        await self.submits(room, fields)

    async def invites(self, room, who):
        """Whom it does not know it sets to none first, whatever he is."""
        await self.asks("set", room, f"<query xmlns='{MUC}#admin'><item jid='{who}' affiliation='none'/></query>")
        self.send_raw(f"<message to='{room}'><x xmlns='{USER}'><invite to='{who}'/></x></message>")

    async def bookmarks(self, room, name):
        await self.asks("set", None, f"""<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{BOOKMARKS}'><item id='{room}'>
            <conference xmlns='{BOOKMARKS}' name='{name}' autojoin='true'/></item></publish><publish-options><x xmlns='{DATA}' type='submit'>
            <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>
            <field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field>
            <field var='pubsub#access_model'><value>whitelist</value></field>
            <field var='pubsub#send_last_published_item'><value>never</value></field></x></publish-options></pubsub>""")

    async def catches_up(self, room, since="1970-01-01T00:00:00Z"):
        """Joins without history, reads the archive from a time on, then who has which right. Bodies, addresses with rights."""
        self.join(room, "maxstanzas='0'")
        found = await self.asks("set", room, f"""<query xmlns='{MAM}' queryid='catchup'><x xmlns='{DATA}' type='submit'>
            <field var='FORM_TYPE'><value>{MAM}</value></field><field var='start'><value>{since}</value></field></x>
            <set xmlns='http://jabber.org/protocol/rsm'><max>50</max></set></query>""")
        assert found.find(f"{{{MAM}}}fin").get("complete") == "true", found
        results = [each for each in self.kept if each.xml.find(f"{{{MAM}}}result") is not None]
        self.kept = [each for each in self.kept if each not in results]
        self.archived = [each["mam_result"]["forwarded"]["stanza"] for each in results]
        rights = {}
        for affiliation in ("owner", "admin", "member"):
            query = f"<query xmlns='{MUC}#admin'><item affiliation='{affiliation}'/></query>"
            answer = await self.asks("get", room, query)
            rights |= {each.get("jid"): each.get("affiliation") for each in answer.iter(f"{{{MUC}#admin}}item")}
        return [each["body"] for each in self.archived if each["body"]], rights

    def writes(self, room, body, *more):
        """Markable in private groups; its id is a UUID that stays its id."""
        name = str(uuid.uuid4())
        self.send_raw(f"<message to='{room}' type='groupchat' id='{name}'><body>{body}</body><markable xmlns='urn:xmpp:chat-markers:0'/>"
                      f"<active xmlns='http://jabber.org/protocol/chatstates'/>{''.join(more)}</message>")
        return name


async def come(server, name, resource="Conversations.a1b2"):
    return await Phone(server, name, resource).come()


async def group(server, romeo):
    """A private group with two, one of them away; both are members by being invited, and their addresses are known to all."""
    assert await romeo.finds() == SERVICE
    tablet = await come(server, "romeo", "Conversations.tab")
    await romeo.makes(GROUP, PRIVATE, "Montagues and Co")
    _identities, features, form = await romeo.info(GROUP)
    assert {"muc_membersonly", "muc_nonanonymous", "muc_hidden", "muc_persistent", MAM, "urn:xmpp:occupant-id:0", "urn:xmpp:sid:0",
            f"{MUC}#stable_id"} <= features, f"no encryption, no history: {features}"
    assert form["muc#roomconfig_roomname"] == "Montagues and Co", form
    assert form["muc#roomconfig_allowinvites"] == "0" and form["muc#roomconfig_changesubject"] in ("0", None), form
    await romeo.bookmarks(GROUP, "Montagues and Co")
    for who in ("juliet@localhost", "nurse@localhost"):
        await romeo.invites(GROUP, who)
        await romeo.gets("message", GROUP, jid=who, affiliation="member")  # else it does not show who was invited (its issue 1946)
    romeo.send_raw(f"<message to='{tablet.boundjid.full}'><x xmlns='jabber:x:conference' jid='{GROUP}'/>"
                   "<no-store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/></message>")
    await tablet.gets("message", romeo.boundjid.full, has=["{jabber:x:conference}x"])
    print("   a private group made, people invited: ok", flush=True)
    return tablet


async def join_group(server, romeo, tablet):
    """Whoever was away when he was invited is told; all see all, in the archive too."""
    rights = {"romeo@localhost": "owner", "juliet@localhost": "member", "nurse@localhost": "member"}
    name = romeo.writes(GROUP, "Is the day so young?")
    room_id, _occupant = ids(await romeo.hears(f"{GROUP}/romeo", "Is the day so young?"), GROUP)
    people = [tablet]
    for who in ("juliet", "nurse"):
        person = await come(server, who)
        told = await person.gets("message", GROUP, has=[f"{{{USER}}}x/{{{USER}}}invite"])
        assert told.xml.find(f"{{{USER}}}x/{{{USER}}}invite").get("from").startswith("romeo@localhost"), told
        people.append(person)
    for person in people:
        assert await person.catches_up(GROUP) == (["Is the day so young?"], rights), person.boundjid
        own = await person.sees(f"{GROUP}/{person.boundjid.user}", 100, 110)
        assert person.boundjid.full in {item.get("jid") for item in own.xml.iterfind(f"{{{USER}}}x/{{{USER}}}item")}, own
        archived = person.archived[0]
        assert archived["muc"]["jid"].bare == "romeo@localhost" and archived["id"] == name, archived
    for person in people[1:]:
        await romeo.sees(f"{GROUP}/{person.boundjid.user}", jid=person.boundjid.full, affiliation="member")
    print("   joined by those invited, caught up, rights read: ok", flush=True)
    return people, room_id


async def talk(romeo, people, room_id):
    """Read markers and reactions by the room's id, corrections by the sender's; messages while joining wait for nobody."""
    tablet, juliet, nurse = people
    markable = ["{urn:xmpp:chat-markers:0}markable"]
    name = juliet.writes(GROUP, "But new struck nine")
    for person in (romeo, tablet, nurse, juliet):
        assert (await person.gets("message", f"{GROUP}/juliet", body="But new struck nine", has=markable))["id"] == name
    juliet.writes(GROUP, "But new struck ten", f"<replace xmlns='urn:xmpp:message-correct:0' id='{name}'/>")
    assert (await nurse.hears(f"{GROUP}/juliet", "But new struck ten"))["replace"]["id"] == name
    for child in (f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{room_id}'/>",
                  f"<reactions xmlns='urn:xmpp:reactions:0' id='{room_id}'><reaction>+1</reaction></reactions>"):
        nurse.send_raw(f"<message to='{GROUP}' type='groupchat' id='{uuid.uuid4()}'>{child}<store xmlns='urn:xmpp:hints'/></message>")
        await romeo.gets("message", f"{GROUP}/nurse", has=[ET.fromstring(child).tag])
    kinds = [[child.tag.split("}")[1] for child in each.xml] for each in (await juliet.room_archive(GROUP)).values()]
    assert sum("displayed" in each for each in kinds) == sum("reactions" in each for each in kinds) == 1, kinds
    print("   markers, corrections, reactions: ok", flush=True)


async def picture(romeo, people):
    """An owner gives the group a picture; the others are told by the config's status, and ask for what they do not have."""
    _tablet, juliet, nurse = people
    data = base64.b64encode(PNG).decode()
    await romeo.asks("set", GROUP, f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{data}</BINVAL></PHOTO></vCard>")
    for person in (juliet, nurse):
        await person.gets("message", GROUP, type="groupchat", codes={104})
        _identities, features, form = await person.info(GROUP)
        assert "vcard-temp" in features and form["muc#roominfo_avatarhash"] == PNG_NAME, form
        vcard = await person.asks("get", GROUP, "<vCard xmlns='vcard-temp'/>")
        assert vcard.findtext("{vcard-temp}vCard/{vcard-temp}PHOTO/{vcard-temp}BINVAL") == data, vcard
    await refused(juliet.asks("set", GROUP, "<vCard xmlns='vcard-temp'/>"), "forbidden")
    print("   a picture: ok", flush=True)


async def manage(romeo, people):
    """Renamed, opened to invitations, someone put out who is told; those inside hear it by the config's status."""
    tablet, juliet, nurse = people
    await romeo.configures(GROUP, {"muc#roomconfig_roomname": "Lovers", "muc#roomconfig_allowinvites": "1", "muc#roomconfig_persistentroom": "1"})
    await juliet.gets("message", GROUP, type="groupchat", codes={104})
    _identities, _features, form = await juliet.info(GROUP)
    assert form["muc#roomconfig_roomname"] == "Lovers" and form["muc#roomconfig_allowinvites"] == "1", form
    juliet.send_raw(f"<message to='{GROUP}'><x xmlns='{USER}'><invite to='tybalt@localhost'/></x></message>")
    for person in (romeo, juliet):
        await person.gets("message", GROUP, jid="tybalt@localhost", affiliation="member")
    await romeo.asks("set", GROUP, f"<query xmlns='{MUC}#admin'><item jid='nurse@localhost' affiliation='none'/></query>")
    await nurse.sees(f"{GROUP}/nurse", 110, 321, type="unavailable")
    await juliet.sees(f"{GROUP}/nurse", 321, type="unavailable", affiliation="none")
    nurse.join(GROUP, "maxstanzas='0'")
    await nurse.gets("presence", f"{GROUP}/nurse", condition="registration-required")
    assert await juliet.is_in(GROUP, "juliet") and not await nurse.is_in(GROUP, "nurse")
    # Away and back: it joins again with the same nick.
    await tablet.go()
    await settled(romeo)
    await romeo.gets_no("presence", f"{GROUP}/romeo", type="unavailable", codes=set())
    print("   renamed, invited by a member, put out: ok", flush=True)


async def channel(romeo, tybalt):
    """A public channel: listed, addresses hidden from all but moderators."""
    await romeo.makes(CHANNEL, PUBLIC, "Verona")
    _identities, features, _form = await tybalt.info(CHANNEL)
    assert {"muc_public", "muc_open", "muc_semianonymous", "muc_persistent"} <= features, features
    listed = await tybalt.plugin["xep_0030"].get_items(SERVICE, local=False)
    assert (CHANNEL, "Verona") in {(str(jid), name) for jid, _node, name in listed["disco_items"]["items"]}, listed
    tybalt.join(CHANNEL, "maxstanzas='0'")
    await tybalt.sees(f"{CHANNEL}/tybalt", 110)
    assert not (await tybalt.sees(f"{CHANNEL}/romeo"))["muc"]["jid"].bare, "an address is shown"
    await romeo.sees(f"{CHANNEL}/tybalt", jid=tybalt.boundjid.full)
    tybalt.writes(CHANNEL, "Boy!")
    room_id, _occupant = ids(await romeo.hears(f"{CHANNEL}/tybalt", "Boy!"), CHANNEL)
    if "urn:xmpp:message-moderate:1" in features:
        await romeo.asks("set", CHANNEL, f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{room_id}'>"
                                         "<retract xmlns='urn:xmpp:message-retract:1'/></moderate>")
        told = await tybalt.gets("message", CHANNEL, type="groupchat", has=["{urn:xmpp:message-retract:1}retract"])
        assert told["retract"]["id"] == room_id, told
    await romeo.asks("set", CHANNEL, f"<query xmlns='{MUC}#admin'><item jid='tybalt@localhost' affiliation='outcast'/></query>")
    await tybalt.sees(f"{CHANNEL}/tybalt", 110, 301, type="unavailable")
    await romeo.asks("set", CHANNEL, f"<query xmlns='{MUC}#owner'><destroy/></query>")
    await romeo.gets("presence", f"{CHANNEL}/romeo", type="unavailable", has=[f"{{{USER}}}x/{{{USER}}}destroy"])
    print("   a public channel, moderated, ruled, destroyed: ok", flush=True)


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        romeo = await come(server, "romeo")
        tablet = await group(server, romeo)
        people, room_id = await join_group(server, romeo, tablet)
        await talk(romeo, people, room_id)
        await picture(romeo, people)
        await manage(romeo, people)
        tybalt = await come(server, "tybalt")
        await channel(romeo, tybalt)
        server.kill()
        server.start()
        juliet = await come(server, "juliet", "Conversations.new")
        bodies, _rights = await juliet.catches_up(GROUP)
        assert bodies == ["Is the day so young?", "But new struck nine", "But new struck ten"], bodies
        await juliet.go()
        server.stop()
        print("   all there after SIGKILL: ok", flush=True)


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
