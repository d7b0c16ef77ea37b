"""A client of publish-subscribe and personal eventing (XEP-0060, XEP-0163): asks, is refused, keeps every event it hears."""
import asyncio
from typing import NamedTuple

from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0059 import Set
from slixmpp.plugins.xep_0060.stanza import Pubsub
from slixmpp.xmlstream import ET, register_stanza_plugin
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from client import TIMEOUT, Client

PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = f"{{{PUBSUB}#event}}"
ATOM = "http://www.w3.org/2005/Atom"

register_stanza_plugin(Pubsub, Set)  # pages of items, which the plug-in leaves out


class Event(NamedTuple):
    service: str
    node: str
    what: str  # published, retracted, purge, delete, configuration, subscription
    which: tuple = ()  # the items' ids; or the state of the subscription


class Person(Client):
    """Interests are nodes it wants to hear of from contacts: it says so in its capabilities (XEP-0115)."""

    def __init__(self, server, name, resource, interests=()):
        super().__init__(server, name, resource)
        self.events = []
        self.payloads = {}  # (service, node, item id) -> the last payload heard
        self.forms = []
        self.messages = []  # all that are no events, as text
        self.stirred = asyncio.Event()
        for plugin in ("xep_0004", "xep_0059", "xep_0060", "xep_0115", "xep_0163"):
            self.register_plugin(plugin)
        self.pubsub = self.plugin["xep_0060"]
        # Asks nobody what he can: no answers come in between.
        self.del_event_handler("entity_caps", self.plugin["xep_0115"]._process_caps)
        self.interests = [f"{node}+notify" for node in interests]
        # Also those without a body.
        self.register_handler(Callback("Any message", MatchXPath("{jabber:client}message"), self.on_message))

    async def on_start(self, event):
        for feature in self.interests:
            self.plugin["xep_0030"].add_feature(feature)
        # Before the first presence, which tells them.
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        await super().on_start(event)

    def on_message(self, message):
        for event in message.xml.iterfind(f"{EVENT}event/*"):
            service, node = message["from"].bare, event.get("node")
            for item in event.iterfind(f"{EVENT}item"):
                self.payloads[service, node, item.get("id")] = next(iter(item), None)
            kinds = (("published", "item"), ("retracted", "retract"))
            self.events += [Event(service, node, what, tuple(each.get("id") for each in event.iterfind(f"{EVENT}{tag}")))
                            for what, tag in kinds if event.find(f"{EVENT}{tag}") is not None]
            what = event.tag.removeprefix(EVENT)
            if what != "items":
                self.events.append(Event(service, node, what, tuple(filter(None, [event.get("subscription")]))))
        if message.xml.find(f"{EVENT}event") is None:
            self.messages.append(str(message))
        if message.xml.find("{jabber:x:data}x") is not None:
            self.forms.append(message)
        self.stirred.set()

    async def answered(self):
        """Whatever was sent here before is here: what comes in order is answered in order."""
        await self.plugin["xep_0199"].ping(timeout=TIMEOUT)

    async def hears(self, *expected, ordered=True):
        """These events since last time and no other."""
        await self.until(lambda: len(self.events) >= len(expected), expected)
        heard = await self.heard()
        if not ordered:
            heard, expected = sorted(heard), sorted(expected)
        assert list(heard) == list(expected), f"{self.boundjid} heard {heard} instead of {expected}"

    async def heard(self):
        """All events since last time."""
        await self.answered()
        heard, self.events = self.events, []
        return heard

    async def until(self, condition, what):
        try:
            async with asyncio.timeout(TIMEOUT):
                while not condition():
                    self.stirred.clear()
                    await self.stirred.wait()
        except TimeoutError:
            raise AssertionError(f"{self.boundjid} never had {what}, but {self.events}") from None

    def form(self, kind=None, **fields):
        """What is to be of a node: access_model="open" is pubsub#access_model. Of this kind, or of the one the plug-in adds."""
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        if kind:
            form.add_field(var="FORM_TYPE", ftype="hidden", value=f"{PUBSUB}#{kind}")
        for name, value in fields.items():
            form.add_field(var=f"pubsub#{name}", value=value)
        return form

    async def create(self, service, node, **config):
        made = await self.pubsub.create_node(service, node, self.form(**config) if config else None)
        return made["pubsub"]["create"]["node"] or node

    async def configure(self, service, node, **config):
        await self.pubsub.set_node_config(service, node, self.form("node_config", **config))

    async def configuration(self, service, node):
        found = await self.pubsub.get_node_config(service, node)
        return found["pubsub_owner"]["configure"]["form"].get_values()

    async def publish(self, service, node, item, payload=None, **options):
        """Text becomes an entry; options are preconditions (§7.1.5)."""
        if not ET.iselement(payload):
            payload = entry(payload or f"text of {item}")
        options = self.form("publish-options", **options) if options else None
        done = await self.pubsub.publish(service, node, item, payload, options)
        return done["pubsub"]["publish"]["item"]["id"] or item

    async def retract(self, service, node, item):
        await self.pubsub.retract(service, node, item, notify="true")

    async def subscribe(self, service, node, **options):
        done = await self.pubsub.subscribe(service, node, **options)
        return done["pubsub"]["subscription"]["subscription"]

    async def items(self, service, node, *ids, most=None):
        found = await self.pubsub.get_items(service, node, ids or None, most)
        return contents(found.xml)

    async def page(self, service, node, **place):
        """Ids of ten items, after or before that one."""
        request = self.Iq(sto=service, stype="get")
        request["pubsub"]["items"]["node"] = node
        for name, value in {"max": "10", **place}.items():
            request["pubsub"]["rsm"][name] = value
        return list(contents((await request.send()).xml))

    async def subscriptions(self, service):
        """Node to state."""
        found = await self.pubsub.get_subscriptions(service)
        return {each.get("node"): each.get("subscription") for each in found.xml.iter(f"{{{PUBSUB}}}subscription")}

    async def affiliations(self, service, node):
        """Of everybody, as the owner is told: bare JID to affiliation."""
        found = await self.pubsub.get_node_affiliations(service, node)
        return {each.get("jid"): each.get("affiliation") for each in found.xml.iter(f"{{{PUBSUB}#owner}}affiliation")}

    async def nodes(self, service):
        """Those it may know of; refused, it knows of none."""
        try:
            found = await self.plugin["xep_0030"].get_items(service, local=False)
        except IqError:
            return set()
        return {node for _jid, node, _name in found["disco_items"]["items"]}

    async def announced(self, jid, node=None):
        return set((await self.info(jid, node))["features"])

    async def info(self, jid, node=None):
        return (await self.plugin["xep_0030"].get_info(jid, node, local=False, cached=False))["disco_info"]

    async def inside(self, jid, node):
        return (await self.plugin["xep_0030"].get_items(jid, node, local=False))["disco_items"]


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


def element(namespace, name, /, text=None, **attributes):
    made = ET.Element(f"{{{namespace}}}{name}", attributes)
    made.text = text
    return made


def entry(text):
    payload = ET.Element(f"{{{ATOM}}}entry")
    ET.SubElement(payload, f"{{{ATOM}}}title").text = text
    return payload


def contents(xml):
    """Id to text, in order."""
    return {item.get("id"): "".join(item.itertext()).strip() for item in xml.iter(f"{{{PUBSUB}}}item")}


async def told(request):
    """What an answer is made of, be it an error."""
    try:
        answer = (await request).xml
    except IqError as error:
        answer = error.iq["error"].xml
    return [each.tag for each in answer.iter()]


async def refused(request, *conditions):
    """By one of these: a condition of RFC 6120, and the one of XEP-0060 where there is one: "not-allowed closed-node"."""
    try:
        answer = await request
    except IqError as error:
        told = {child.tag.split("}")[1] for child in error.iq["error"].xml} - {"text"}
        assert told in [set(each.split()) for each in conditions], f"refused with {told} instead of {conditions}"
        return
    raise AssertionError(f"not refused, as {conditions}: {answer}")
