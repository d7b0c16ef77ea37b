"""OMEMO (XEP-0384) as slixmpp-omemo speaks it, the form most clients have (eu.siacs.conversations.axolotl) and the form of the
specification (urn:xmpp:omemo:2): to somebody who is away, after SIGKILL, to a device added later, from the archive, by a stranger.

usage: encryption.py BINARY"""
import asyncio
import logging
import sys

import oldmemo
import twomemo
import twomemo.etree
from omemo.session_manager import MessageNotForUs
from omemo.storage import Just, Nothing, Storage
from slixmpp.plugins.base import register_plugin
from slixmpp.xmlstream import ET
from slixmpp_omemo import XEP_0384

from client import TIMEOUT, befriend
from person import Person
from server import Server

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
OLD, NEW = oldmemo.oldmemo.NAMESPACE, twomemo.twomemo.NAMESPACE
NODES = {OLD: f"{OLD}.devicelist", NEW: f"{NEW}:devices"}
FORWARDED = "{urn:xmpp:forward:0}forwarded/{jabber:client}message"


class Keys(Storage):
    """What a device keeps; it outlives its sessions."""

    def __init__(self):
        super().__init__(disable_cache=True)
        self.rows = {}
        self.seen = set()  # ids of messages: a message is decrypted once
        self.read = []

    async def _load(self, key):
        return Just(self.rows[key]) if key in self.rows else Nothing()

    async def _store(self, key, value):
        self.rows[key] = value

    async def _delete(self, key):
        self.rows.pop(key, None)


class Omemo(XEP_0384):
    """Trusts whom it sees first."""

    default_config = {**XEP_0384.default_config, "keys": None}
    storage = property(lambda self: self.keys)
    _btbv_enabled = True

    async def _prompt_manual_trust(self, manually_trusted, identifier):
        raise AssertionError("nobody is distrusted")


register_plugin(Omemo)


class Device(Person):
    """Decrypts what comes, one after the other: at once, by carbons (XEP-0280), from the archive."""

    def __init__(self, server, name, resource, keys):
        super().__init__(server, name, resource)
        self.keys = keys
        self.initialised = asyncio.Event()
        self.encrypted = asyncio.Queue()
        self.register_plugin("xep_0280")
        self.register_plugin("xep_0384", {"keys": keys})
        self.omemo = self.plugin["xep_0384"]
        self.add_event_handler("omemo_initialized", lambda _: self.initialised.set())
        self.reader = None

    async def come(self):
        self.reader = asyncio.ensure_future(self.read_on())
        await super().come()
        await self.plugin["xep_0280"].enable()
        await asyncio.wait_for(self.initialised.wait(), TIMEOUT)
        return self

    async def go(self):
        await super().go()
        self.end()

    def end(self):
        self.abort()
        self.reader.cancel()

    def on_message(self, message):
        super().on_message(message)
        carbon = next((each for each in message.xml.iterfind("*/" + FORWARDED) if "carbons" in message.xml[0].tag), None)
        self.encrypted.put_nowait(message if carbon is None else self.Message(xml=carbon))

    async def read_on(self):
        while True:
            message = await self.encrypted.get()
            if message["id"] not in self.keys.seen:
                self.keys.seen.add(message["id"])
                try:
                    await self.decrypt(message)
                finally:
                    self.stirred.set()

    async def decrypt(self, message):
        kinds = self.omemo.is_encrypted(message)
        try:
            if OLD in kinds:
                plain, _device = await self.omemo.decrypt_message(message)
                text = plain["body"]
            elif NEW in kinds:
                encrypted = twomemo.etree.parse_message(message.xml.find(f"{{{NEW}}}encrypted"), message["from"].bare)
                text = opened((await (await self.omemo.get_session_manager()).decrypt(encrypted))[0])
            else:
                return
        except MessageNotForUs:
            return  # from before this device, or its own
        if text:
            self.keys.read.append(text)

    async def write(self, to, text, kind):
        message = self.make_message(to, text, mtype="chat")
        if kind == OLD:
            message, errors = await self.omemo.encrypt_message(message, message["to"])
            assert not errors, errors
        else:
            await self.omemo.refresh_device_lists({message["to"]})
            manager = await self.omemo.get_session_manager()
            made, errors = await manager.encrypt(frozenset({message["to"].bare}), {NEW: envelope(text)}, [NEW])
            assert not errors, errors
            message["body"] = "not for you"
            message.enable("store")
            for each in made:
                message.append(twomemo.etree.serialize_message(each))
        message.send()
        await self.answered()
        return message["id"]

    async def has_read(self, *texts):
        await self.until(lambda: set(texts) <= set(self.keys.read) or self.reader.done(), texts)
        if self.reader.done():
            self.reader.result()

    async def catch_up(self):
        """The archive, as a client does at login."""
        async for result in self.plugin["xep_0313"].iterate(rsm={"max": 50}):
            self.encrypted.put_nowait(result["mam_result"]["forwarded"]["stanza"])

    async def knows(self, whose, count):
        """So many devices, in both forms. The plug-in reads a list some time after it came."""
        manager = await self.omemo.get_session_manager()
        async with asyncio.timeout(TIMEOUT):
            while True:
                devices = await manager.get_device_information(whose)
                if all(sum((kind, True) in each.active for each in devices) == count for kind in NODES):
                    return
                await asyncio.sleep(0.05)


def envelope(text):
    """Stanza content encryption (XEP-0420)."""
    made = ET.Element("{urn:xmpp:sce:1}envelope")
    ET.SubElement(ET.SubElement(made, "{urn:xmpp:sce:1}content"), "{jabber:client}body").text = text
    return ET.tostring(made)


def opened(plain):
    return plain and ET.fromstring(plain).findtext("{urn:xmpp:sce:1}content/{jabber:client}body")


async def killed(server, *devices):
    server.kill()
    for device in devices:
        device.end()
    server.start()


async def main(binary):
    keys = {device: Keys() for device in ("romeo/phone", "romeo/desktop", "juliet/phone", "juliet/tablet", "tybalt/phone")}
    with Server(binary) as server:
        for name in ("romeo", "juliet", "tybalt"):
            server.user_add(name, f"secret of {name}")

        async def come(device):
            return await Device(server, *device.split("/"), keys[device]).come()

        romeo, juliet = await come("romeo/phone"), await come("juliet/phone")
        await befriend(romeo, juliet)
        await romeo.knows(JULIET, 1)
        await juliet.go()
        await romeo.write(JULIET, "while away, old", OLD)
        await romeo.write(JULIET, "while away, new", NEW)
        await killed(server, romeo)
        romeo, juliet = await come("romeo/phone"), await come("juliet/phone")
        await juliet.has_read("while away, old", "while away, new")
        await juliet.write(ROMEO, "an answer, old", OLD)
        await juliet.write(ROMEO, "an answer, new", NEW)
        await romeo.has_read("an answer, old", "an answer, new")
        print("   to somebody away, read after SIGKILL, answered: ok")

        tablet, desktop = await come("juliet/tablet"), await come("romeo/desktop")
        for device in (romeo, desktop):
            await device.knows(JULIET, 2)
        await juliet.knows(ROMEO, 2)
        for kind, name in ((OLD, "old"), (NEW, "new")):
            await romeo.write(JULIET, f"to all, {name}", kind)
            for device in (juliet, tablet, desktop):
                await device.has_read(f"to all, {name}")
            await tablet.write(ROMEO, f"from the tablet, {name}", kind)
            for device in (juliet, romeo, desktop):
                await device.has_read(f"from the tablet, {name}")
        print("   devices added later, carbons: ok")

        await juliet.go()
        await tablet.go()
        await romeo.write(JULIET, "while both are away, old", OLD)
        await desktop.write(JULIET, "while both are away, new", NEW)
        await killed(server, romeo, desktop)
        juliet, tablet = await come("juliet/phone"), await come("juliet/tablet")
        await tablet.catch_up()
        await juliet.catch_up()
        for device in (juliet, tablet):
            await device.has_read("while both are away, old", "while both are away, new")
        print("   archive and late delivery after SIGKILL, on both devices: ok")

        tybalt = await come("tybalt/phone")
        await tybalt.write(JULIET, "from a stranger, old", OLD)
        await tybalt.write(JULIET, "from a stranger, new", NEW)
        for device in (juliet, tablet):
            await device.has_read("from a stranger, old", "from a stranger, new")
        for kind, node in NODES.items():
            devices = (await tybalt.pubsub.get_items(JULIET, node)).xml
            assert sum(1 for _ in devices.iter(f"{{{kind}}}device")) == 2, node
        assert len(await tybalt.items(JULIET, f"{NEW}:bundles")) == 2
        for device in (juliet, tablet, tybalt):
            await device.go()
        server.stop()
    print("   a stranger finds the keys and is read: ok")


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
