"""aioxmpp, which takes a form only if every field has the type that the registry gives it: publish-subscribe and what is made of it.

A node of the service configured by its form, several items by id, a subscription that hears of items published, retracted and of
the node's end, affiliations; a node of an account with an access model kept and one refused; an avatar seen by a contact; blocking.
usage: typed.py BINARY"""
import asyncio
import os
import sys
import warnings

warnings.simplefilter("ignore")  # it is older than the Python it runs on

import aioxmpp
import aioxmpp.avatar
import aioxmpp.pubsub.xso as pubsub_xso

from server import Server

TIMEOUT = 20
SERVICE = aioxmpp.JID.fromstr("pubsub.localhost")
NODE = "princely_musings"


@pubsub_xso.as_payload_class
class Musing(aioxmpp.xso.XSO):
    TAG = ("urn:example:musing", "musing")
    text = aioxmpp.xso.Text(default=None)

    @classmethod
    def of(cls, text):
        musing = cls()
        musing.text = text
        return musing


class Signals:
    """What a signal told, in order."""

    def __init__(self, signal):
        self.told = asyncio.Queue()
        signal.connect(lambda *args, **_named: self.told.put_nowait(args))

    async def next(self):
        return await asyncio.wait_for(self.told.get(), TIMEOUT)


def person(server, name):
    jid = aioxmpp.JID.fromstr(f"{name}@localhost/aioxmpp")
    client = aioxmpp.PresenceManagedClient(
        jid, aioxmpp.make_security_layer(f"secret of {name}"),
        override_peer=[("localhost", server.port, aioxmpp.connector.STARTTLSConnector())])
    for service in (aioxmpp.EntityCapsService, aioxmpp.PresenceServer, aioxmpp.RosterClient, aioxmpp.BlockingClient,
                    aioxmpp.PubSubClient, aioxmpp.PEPClient, aioxmpp.avatar.AvatarService):
        client.summon(service)
    return client


async def is_refused(request, condition=aioxmpp.ErrorCondition.ITEM_NOT_FOUND):
    """By default as if there was no such thing."""
    try:
        await request
    except aioxmpp.errors.XMPPError as error:
        assert error.condition == condition, error
    else:
        raise AssertionError("not refused")


async def the_service(romeo, juliet):
    owner, reader = romeo.summon(aioxmpp.PubSubClient), juliet.summon(aioxmpp.PubSubClient)
    assert pubsub_xso.Feature.PUBLISH in await owner.get_features(SERVICE)
    await owner.create(SERVICE, NODE)
    form = pubsub_xso.NodeConfigForm.from_xso(await owner.get_node_config(SERVICE, NODE))
    form.max_items.value = "10"
    form.title.value = "Musings"
    await owner.set_node_config(SERVICE, form.render_reply(), NODE)
    form = pubsub_xso.NodeConfigForm.from_xso(await owner.get_node_config(SERVICE, NODE))
    assert (form.max_items.value, form.title.value) == ("10", "Musings")
    assert (await owner.get_nodes(SERVICE)) == [(NODE, "Musings")]

    published, retracted, deleted = (Signals(signal) for signal in (reader.on_item_published, reader.on_item_retracted,
                                                                    reader.on_node_deleted))
    subscription = (await reader.subscribe(SERVICE, NODE)).payload
    assert subscription.subscription == "subscribed"
    names = [await owner.publish(SERVICE, NODE, Musing.of(text)) for text in ("To be", "or not")]
    for name, text in zip(names, ("To be", "or not")):
        _jid, node, item, *_ = await published.next()
        assert (node, item.id_, item.registered_payload.text) == (NODE, name, text)
    found = (await reader.get_items_by_id(SERVICE, NODE, names)).payload.items
    assert {item.id_: item.registered_payload.text for item in found} == dict(zip(names, ("To be", "or not")))
    await owner.retract(SERVICE, NODE, names[0], notify=True)
    assert (await retracted.next())[1:3] == (NODE, names[0])

    await owner.change_node_affiliations(SERVICE, NODE, [(juliet.local_jid.bare(), "publisher")])
    affiliations = (await owner.get_node_affiliations(SERVICE, NODE)).payload.affiliations
    assert {(str(one.jid), one.affiliation) for one in affiliations} == {("romeo@localhost", "owner"), ("juliet@localhost", "publisher")}
    await reader.publish(SERVICE, NODE, Musing.of("to be"))
    await owner.purge(SERVICE, NODE)
    assert not (await owner.get_items(SERVICE, NODE)).payload.items
    await owner.delete(SERVICE, NODE)
    assert (await deleted.next())[1] == NODE
    print("   a node of the service, configured, published to, heard of: ok")


async def an_account(romeo, juliet):
    mine, theirs = romeo.summon(aioxmpp.PEPClient), juliet.summon(aioxmpp.PubSubClient)
    await mine.publish(NODE, Musing.of("for me"), access_model="whitelist")
    await mine.publish(NODE, Musing.of("for me too"), access_model="whitelist")
    form = pubsub_xso.NodeConfigForm.from_xso(await romeo.summon(aioxmpp.PubSubClient).get_node_config(romeo.local_jid.bare(), NODE))
    assert form.access_model.value == "whitelist"
    await is_refused(mine.publish(NODE, Musing.of("for all"), access_model="open"), aioxmpp.ErrorCondition.CONFLICT)
    await is_refused(theirs.get_items(romeo.local_jid.bare(), NODE))
    print("   a node of an account, its access model kept: ok")


async def an_avatar(romeo, juliet):
    """To a contact, who is asked for what he wants to hear of (XEP-0115, XEP-0390)."""
    for client, other in ((romeo, juliet), (juliet, romeo)):
        roster = client.summon(aioxmpp.RosterClient)
        roster.on_subscribe.connect(lambda stanza, roster=roster: roster.approve(stanza.from_.bare()) or None)
        roster.subscribe(other.local_jid.bare())
    seen = Signals(juliet.summon(aioxmpp.avatar.AvatarService).on_metadata_changed)
    pictures = aioxmpp.avatar.AvatarSet()
    pictures.add_avatar_image("image/png", image_bytes=b"\x89PNG\r\n\x1a\n and more")
    await romeo.summon(aioxmpp.avatar.AvatarService).publish_avatar_set(pictures)
    jid, metadata = await seen.next()
    while jid != romeo.local_jid.bare() or not metadata:
        jid, metadata = await seen.next()
    assert await metadata[0].get_image_bytes() == b"\x89PNG\r\n\x1a\n and more"
    print("   an avatar, heard of and fetched by a contact: ok")


async def blocking(romeo, juliet):
    blocks = romeo.summon(aioxmpp.BlockingClient)
    await blocks.block_jids([juliet.local_jid.bare()])
    await is_refused(juliet.summon(aioxmpp.PubSubClient).get_items(romeo.local_jid.bare(), "urn:xmpp:avatar:metadata"))
    await blocks.unblock_jids([juliet.local_jid.bare()])
    assert (await juliet.summon(aioxmpp.PubSubClient).get_items(romeo.local_jid.bare(), "urn:xmpp:avatar:metadata")).payload.items
    print("   blocked, unblocked: ok")


async def scene(server):
    romeo, juliet = person(server, "romeo"), person(server, "juliet")
    async with romeo.connected(), juliet.connected():
        for part in (the_service, an_account, an_avatar, blocking):
            await asyncio.wait_for(part(romeo, juliet), TIMEOUT)


def main(binary):
    with Server(binary) as server:
        os.environ["SSL_CERT_FILE"] = server.certificate
        for name in ("romeo", "juliet"):
            server.user_add(name, f"secret of {name}")
        asyncio.run(scene(server))
        server.stop()


main(sys.argv[1])
