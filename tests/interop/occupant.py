"""A client in rooms (XEP-0045): enters, talks, rules, and is told what it has to be told. Keeps every message and presence until
it is asked for."""
import asyncio

from slixmpp.exceptions import IqError, PresenceError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from client import TIMEOUT, Client

SERVICE = "chat.localhost"
MUC, USER = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"
OCCUPANT_ID, STANZA_ID, DELAY = "{urn:xmpp:occupant-id:0}occupant-id", "{urn:xmpp:sid:0}stanza-id", "{urn:xmpp:delay}delay"
PLUGINS = "xep_0004 xep_0045 xep_0054 xep_0059 xep_0249 xep_0308 xep_0410 xep_0421 xep_0424 xep_0425 xep_0444".split()


class Occupant(Client):
    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        self.kept = []
        self.stirred = asyncio.Event()
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.muc = self.plugin["xep_0045"]
        for kind in ("message", "presence"):
            self.register_handler(Callback(f"Any {kind}", MatchXPath(f"{{jabber:client}}{kind}"), self.keep))

    def keep(self, stanza):
        self.kept.append(stanza)
        self.stirred.set()

    async def enter(self, room, nick, **how):
        """Own presence, subject, who is there, history: in this order and no other (§7.1)."""
        self.forget(room)
        joined = await self.muc.join_muc_wait(room, nick, timeout=TIMEOUT, **how)
        stages = [stage(each) for each in self.kept if each["from"].bare == room and (each["from"].resource or each.name == "message")]
        assert stages == sorted(stages), f"{self.boundjid} enters {room} in the order {stages}"
        own, _subject, _people, _history = joined
        assert 110 in own["muc"]["status_codes"] and own["from"] == f"{room}/{nick}", own
        self.forget(room)
        return joined

    async def create(self, room, nick, **config):
        """Reserved with a configuration, or instant without one (§10.1)."""
        own, subject, people, history = await self.enter(room, nick)
        assert own["muc"]["status_codes"] >= {110, 201}, f"not a new room: {own}"
        assert (own["muc"]["affiliation"], own["muc"]["role"]) == ("owner", "moderator"), own
        assert not subject["subject"] and not history and len(people) == 1, (subject, history, people)
        await self.configure(room, **config)

    async def configure(self, room, **config):
        """The form as it is, but for these: whois="anyone" is muc#roomconfig_whois. None at all: as it comes (§10.1.2)."""
        if not config:
            return await self.muc.set_room_config(room, self.plugin["xep_0004"].make_form(ftype="submit"))
        form = await self.muc.get_room_config(room)
        for name, value in config.items():
            name = f"muc#roomconfig_{name}"
            assert name in form.get_fields(), f"{name} is not in the form: {list(form.get_fields())}"
            form.get_fields()[name].set_value(value)
        await self.muc.set_room_config(room, form)

    async def configuration(self, room):
        form = (await self.muc.get_room_config(room)).get_values()
        return {name.removeprefix("muc#roomconfig_"): sorted(value) if isinstance(value, list) else value for name, value in form.items()}

    def forget(self, room):
        self.kept = [each for each in self.kept if each["from"].bare != room]

    def say(self, room, body, **more):
        """Its id."""
        message = self.make_message(room, body, mtype="groupchat", **more)
        message["id"] = self.new_id()
        message.send()
        return message["id"]

    async def hears(self, who, body):
        """In the room; the message."""
        return await self.gets("message", who, type="groupchat", body=body)

    async def sees(self, who, *codes, **item):
        """A presence with exactly these status codes, and these attributes of its item."""
        return await self.gets("presence", who, codes=set(codes), **item)

    async def gets(self, kind, who, **wanted):
        """The first that is like this, of anybody for None; it is not found twice."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while (found := self.find(kind, who, wanted)) is None:
                    self.stirred.clear()
                    await self.stirred.wait()
        except TimeoutError:
            kept = "\n".join(map(str, self.kept))
            raise AssertionError(f"{self.boundjid} never got a {kind} of {who} with {wanted}, but\n{kept}") from None
        self.kept.remove(found)
        return found

    async def gets_no(self, kind, who, **wanted):
        await self.settles()
        found = self.find(kind, who, wanted)
        assert found is None, f"{self.boundjid} got {found}"

    def find(self, kind, who, wanted):
        return next((each for each in self.kept if each.name == kind and who in (None, each["from"]) and is_like(each, wanted)), None)

    async def settles(self):
        """What was on its way when this began is here."""
        await self.plugin["xep_0199"].ping(timeout=TIMEOUT)

    async def is_in(self, room, nick):
        """§XEP-0410: asks itself through the room."""
        try:
            await self.plugin["xep_0199"].send_ping(f"{room}/{nick}", timeout=TIMEOUT)
        except IqError as error:
            assert error.condition == "not-acceptable", error.iq
            return False
        return True

    async def room_info(self, room):
        """Features, and the form about the room."""
        info = (await self.plugin["xep_0030"].get_info(room, local=False, cached=False))["disco_info"]
        form = info.xml.find("{jabber:x:data}x")
        fields = {} if form is None else {field.get("var"): field.findtext("{jabber:x:data}value")
                                          for field in form.iter("{jabber:x:data}field")}
        return set(info["features"]), fields, info["identities"]

    async def room_archive(self, room, **page):
        """Archive id to the archived message, in order, page after page."""
        found = {}
        while True:
            answer = await self.plugin["xep_0313"].retrieve(room, rsm={"max": 20, **page})
            for result in answer["mam"]["results"]:
                found[result["mam_result"]["id"]] = result["mam_result"]["forwarded"]["stanza"]
            if answer["mam_fin"]["complete"] or not answer["mam"]["results"]:
                return found
            page = {"after": answer["mam_fin"]["rsm"]["last"]}

    async def members(self, room, *affiliations):
        return {affiliation: {str(jid) for jid in await self.muc.get_affiliation_list(room, affiliation)} for affiliation in affiliations}

    def leave(self, room, nick):
        self.muc.leave_muc(room, nick)


async def refused(request, *conditions, kind=None):
    """An iq, or an entering, with one of these conditions (and this type) of error."""
    try:
        answer = await request
    except IqError as error:
        told = error.iq["error"]
    except PresenceError as error:
        told = error.presence["error"]
    else:
        raise AssertionError(f"not refused, as {conditions}: {answer}")
    assert told["condition"] in conditions and kind in (None, told["type"]), f"refused with {told} instead of {conditions} {kind}"


def stage(stanza):
    """Of entering: others' presences, one's own, history, the subject, what comes live."""
    if stanza.name == "presence":
        return 1 if 110 in stanza["muc"]["status_codes"] else 0
    if stanza["subject"] or stanza.xml.find("{jabber:client}subject") is not None and not stanza["body"]:
        return 3
    return 2 if stanza.xml.find(DELAY) is not None else 4


def is_like(stanza, wanted):
    for name, value in wanted.items():
        if name == "codes":
            found = stanza["muc"]["status_codes"]
        elif name == "has":
            found = value if all(stanza.xml.find(f".//{tag}") is not None for tag in value) else None
        elif name in ("affiliation", "role", "jid", "nick", "reason"):
            found = stanza.xml.find(f"{{{USER}}}x/{{{USER}}}item")
            found = found is not None and (found.findtext(f"{{{USER}}}reason") if name == "reason" else found.get(name))
        elif name == "condition":
            found = stanza["error"]["condition"] if stanza["type"] == "error" else None
        else:
            found = stanza[name]
        if found != value:
            return False
    return True


async def come(server, name, resource):
    return await Occupant(server, name, resource).come()


async def settled(*people):
    """Whatever the first of them sent has come to the others."""
    for person in people:
        await person.settles()


def ids(message, room):
    """Of the archive, of the occupant: one of each, the room's."""
    own = [each.get("id") for each in message.xml.iterfind(STANZA_ID) if each.get("by") == room]
    occupant = [each.get("id") for each in message.xml.iterfind(OCCUPANT_ID)]
    assert len(own) == len(occupant) == 1 and all(own + occupant), message
    return own[0], occupant[0]
