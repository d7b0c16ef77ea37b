"""A slixmpp component beside the server: found, befriended, written to, archived; what it writes to the absent survives
SIGKILL, and it comes back. It hears of nodes that it subscribed to, and keeps a bookmark for an account, as it may (XEP-0356).

usage: component.py BINARY"""
import asyncio
import logging
import sys

import slixmpp
from slixmpp.plugins.xep_0402 import stanza as bookmarks
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from client import TIMEOUT, Client
from person import PUBSUB, Event, Person
from server import Server

DOMAIN, SECRET = "bridge.localhost", "secret of the bridge".replace(" ", "-")
NURSE = f"nurse@{DOMAIN}"


class Bridge(slixmpp.ComponentXMPP):
    """Every address below its domain is somebody who says back what is said."""

    def __init__(self, server):
        super().__init__(DOMAIN, SECRET, "127.0.0.1", server.component_port)
        self.ready = asyncio.Event()
        for plugin in ("xep_0030", "xep_0060", "xep_0199", "xep_0356"):
            self.register_plugin(plugin)
        self.events = asyncio.Queue()
        self.register_handler(Callback("Events", StanzaPath("message/pubsub_event"), self.events.put_nowait))
        self.plugin["xep_0030"].add_identity("gateway", "sms", name="Bridge")
        self.auto_authorize = self.auto_subscribe = None
        self.add_event_handler("session_start", lambda _: self.ready.set())
        self.add_event_handler("disconnected", self.on_disconnected)
        self.comes_back = True
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("presence_subscribe", self.on_subscribe)
        # slixmpp has a roster of its own here, which would say "unsubscribed".
        self.del_event_handler("presence_probe", self._handle_probe)
        self.add_event_handler("presence_probe", self.on_probe)
        self.probed = asyncio.Queue()

    async def come(self):
        self.connect()
        await asyncio.wait_for(self.ready.wait(), TIMEOUT)
        return self

    def on_disconnected(self, _reason):
        self.ready.clear()
        if self.comes_back:
            self.loop.call_later(0.2, self.connect)

    def on_message(self, message):
        if message["type"] in ("chat", "normal"):
            self.say(message["from"].bare, f"you said {message['body']}", message["to"].bare)

    def on_subscribe(self, presence):
        user, contact = presence["from"].bare, presence["to"].bare
        self.send_presence(pto=user, pfrom=contact, ptype="subscribed")
        self.send_presence(pto=user, pfrom=contact, pstatus="here")
        self.send_presence(pto=user, pfrom=contact, ptype="subscribe")

    def on_probe(self, presence):
        self.probed.put_nowait(presence["from"])
        self.send_presence(pto=presence["from"], pfrom=presence["to"].bare, pstatus="here")

    def say(self, user, body, contact=NURSE):
        self.send_message(mto=user, mfrom=contact, mbody=body, mtype="chat")


async def refused(server):
    """A wrong secret lets nobody in."""
    bridge = Bridge(server)
    bridge.secret = "another secret"
    bridge.comes_back = False
    over = asyncio.get_running_loop().create_future()
    bridge.add_event_handler("disconnected", lambda _: over.done() or over.set_result(None))
    bridge.connect()
    await asyncio.wait_for(over, TIMEOUT)
    assert not bridge.ready.is_set()
    bridge.abort()


async def converse(server, bridge):
    romeo = await Client(server, "romeo", "orchard").come()
    disco = romeo.plugin["xep_0030"]
    items = await disco.get_items("localhost", local=False)
    assert DOMAIN in {item[0] for item in items["disco_items"]["items"]}, items
    info = await disco.get_info(DOMAIN, local=False)
    assert ("gateway", "sms", None, "Bridge") in info["disco_info"]["identities"], info
    await romeo.plugin["xep_0199"].ping(DOMAIN)
    romeo.send_presence_subscription(pto=NURSE, ptype="subscribe")
    while (await asyncio.wait_for(romeo.presences.get(), TIMEOUT))["from"].bare != NURSE:
        pass
    asked = await asyncio.wait_for(romeo.requests.get(), TIMEOUT)
    assert asked["from"] == NURSE, asked
    romeo.send_presence_subscription(pto=NURSE, ptype="subscribed")
    romeo.send_message(NURSE, "where is she", mtype="chat")
    assert (await romeo.next_message())["body"] == "you said where is she"
    assert await romeo.archive() == ["where is she", "you said where is she"]
    await romeo.go()


async def eventing(server, bridge):
    """As a subscriber, and in romeo's name."""
    romeo = await Person(server, "romeo", "orchard", [bookmarks.NS]).come()
    await romeo.create("pubsub.localhost", "news", access_model="open")
    await bridge.plugin["xep_0060"].subscribe("pubsub.localhost", "news", ifrom=NURSE)
    await told(romeo, bridge, "one")
    asked = bridge.make_iq_set(ito="romeo@localhost", ifrom="romeo@localhost")
    asked["pubsub"]["publish"]["node"] = bookmarks.NS
    asked["pubsub"]["publish"]["item"]["id"] = f"garden@{DOMAIN}"
    asked["pubsub"]["publish"]["item"].append(bookmarks.Conference())
    await bridge.plugin["xep_0356"].send_privileged_iq(asked)
    await romeo.hears(Event("romeo@localhost", bookmarks.NS, "published", (f"garden@{DOMAIN}",)))
    await romeo.go()


async def told(romeo, bridge, item):
    await romeo.publish("pubsub.localhost", "news", item)
    event = await asyncio.wait_for(bridge.events.get(), TIMEOUT)
    assert (event["from"], event["to"]) == ("pubsub.localhost", NURSE), event
    assert event["pubsub_event"]["items"]["item"]["id"] == item, event


async def survive(server, bridge):
    """Romeo is away, the server is killed, the bridge comes back by itself."""
    for number in range(5):
        bridge.say("romeo@localhost", f"while away {number}")
    await bridge.plugin["xep_0199"].ping("localhost")
    server.kill()
    server.start()
    romeo = await Person(server, "romeo", "orchard").come()
    for number in range(5):
        message = await romeo.next_message()
        assert message["body"] == f"while away {number}", message
    await asyncio.wait_for(bridge.ready.wait(), TIMEOUT)
    # Asked who is there when it came, so that romeo sees his contact again.
    assert (await asyncio.wait_for(bridge.probed.get(), TIMEOUT)).bare == "romeo@localhost"
    while (await asyncio.wait_for(romeo.presences.get(), TIMEOUT))["from"].bare != NURSE:
        pass
    assert romeo.client_roster[NURSE]["subscription"] == "both"
    romeo.send_message(NURSE, "still there?", mtype="chat")
    assert (await romeo.next_message())["body"] == "you said still there?"
    await told(romeo, bridge, "another")
    assert list(await romeo.items(None, bookmarks.NS)) == [f"garden@{DOMAIN}"]
    await romeo.go()


async def main(binary):
    privileges = f'component_privileges = "{DOMAIN} iq={PUBSUB}"'
    with Server(binary, components=[f"{DOMAIN} {SECRET}"], settings=privileges) as server:
        server.user_add("romeo", "secret of romeo")
        await refused(server)
        bridge = await Bridge(server).come()
        await converse(server, bridge)
        await eventing(server, bridge)
        await survive(server, bridge)
        bridge.comes_back = False
        bridge.abort()
    print("ok: a component is found, befriended, written to, archived, hears events; it comes back after SIGKILL, nothing is lost")


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
