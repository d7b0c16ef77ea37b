"""A slixmpp client for tests: the certificate verified, nothing done by itself but logging in."""
import asyncio

import slixmpp

TIMEOUT = 20


class Client(slixmpp.ClientXMPP):
    """A client that keeps what it gets."""

    def __init__(self, server, name, resource, password=None):
        super().__init__(f"{name}@{server.domain}/{resource}", password or f"secret of {name}")
        self.host_under_test = server
        self.inbox = asyncio.Queue()
        self.requests = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.ready = asyncio.Event()
        self.auto_authorize = None
        self.auto_subscribe = False
        self.ca_certs = server.certificate
        self.enable_plaintext = self.enable_direct_tls = False
        for plugin in ("xep_0030", "xep_0199", "xep_0313", "xep_0359", "xep_0203"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("presence_subscribe", self.requests.put_nowait)
        self.add_event_handler("presence_available", self.presences.put_nowait)
        self.add_event_handler("failed_auth", self.on_failed_auth)
        self.add_event_handler("ssl_invalid_cert", lambda e: self.fail(f"certificate: {e}"))

    def fail(self, why):
        raise SystemExit(f"{self.requested_jid}: {why}")

    def on_failed_auth(self, _event):
        self.fail("login failed")

    async def on_start(self, _event):
        self.send_presence()
        await self.get_roster()
        self.ready.set()

    async def come(self):
        # Verified against the printed certificate alone.
        self.connect(self.host_under_test.domain, self.host_under_test.port)
        await asyncio.wait_for(self.ready.wait(), TIMEOUT)
        return self

    async def go(self):
        await asyncio.wait_for(self.disconnect(), TIMEOUT)

    async def next_message(self):
        return await asyncio.wait_for(self.inbox.get(), TIMEOUT)

    async def archive(self):
        bodies = []
        async for result in self.plugin["xep_0313"].iterate(rsm={"max": 50}):
            bodies.append(result["mam_result"]["forwarded"]["stanza"]["body"])
        return bodies


async def befriend(one, other):
    """Each sees the presence of the other."""
    me, you = one.boundjid.bare, other.boundjid.bare
    one.send_presence_subscription(pto=you, ptype="subscribe")
    await asyncio.wait_for(other.requests.get(), TIMEOUT)
    other.send_presence_subscription(pto=me, ptype="subscribed")
    other.send_presence_subscription(pto=me, ptype="subscribe")
    await asyncio.wait_for(one.requests.get(), TIMEOUT)
    one.send_presence_subscription(pto=you, ptype="subscribed")
    while (await asyncio.wait_for(one.presences.get(), TIMEOUT))["from"].bare != you:
        pass
    while (await asyncio.wait_for(other.presences.get(), TIMEOUT))["from"].bare != me:
        pass


async def archived(server, name):
    """The bodies in somebody's archive, read by a session of its own."""
    reader = await Client(server, name, "archive").come()
    bodies = await reader.archive()
    await reader.go()
    return bodies
