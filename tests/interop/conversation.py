"""Two slixmpp clients: TLS verified, add each other, chat, leave and come back, archive; then SIGKILL under load.

usage: conversation.py BINARY"""
import asyncio
import logging
import sys

import slixmpp
from server import Server

TIMEOUT = 20


class Client(slixmpp.ClientXMPP):
    """A client that keeps what it gets."""

    def __init__(self, server, name, resource):
        super().__init__(f"{name}@{server.domain}/{resource}", f"secret of {name}")
        self.host_under_test = server
        self.inbox = asyncio.Queue()
        self.requests = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.ready = asyncio.Event()
        self.auto_authorize = None
        self.auto_subscribe = False
        self.ca_certs = server.certificate
        self.enable_plaintext = False
        for plugin in ("xep_0030", "xep_0199", "xep_0313", "xep_0359", "xep_0203"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("presence_subscribe", self.requests.put_nowait)
        self.add_event_handler("presence_available", self.presences.put_nowait)
        self.add_event_handler("failed_auth", lambda _: self.fail("login failed"))
        self.add_event_handler("ssl_invalid_cert", lambda e: self.fail(f"certificate: {e}"))

    def fail(self, why):
        raise SystemExit(f"{self.requested_jid}: {why}")

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


async def befriend(romeo, juliet):
    romeo.send_presence_subscription(pto="juliet@localhost", ptype="subscribe")
    await asyncio.wait_for(juliet.requests.get(), TIMEOUT)
    juliet.send_presence_subscription(pto="romeo@localhost", ptype="subscribed")
    juliet.send_presence_subscription(pto="romeo@localhost", ptype="subscribe")
    await asyncio.wait_for(romeo.requests.get(), TIMEOUT)
    romeo.send_presence_subscription(pto="juliet@localhost", ptype="subscribed")
    while (await asyncio.wait_for(romeo.presences.get(), TIMEOUT))["from"].bare != "juliet@localhost":
        pass
    while (await asyncio.wait_for(juliet.presences.get(), TIMEOUT))["from"].bare != "romeo@localhost":
        pass


async def converse(server):
    romeo = await Client(server, "romeo", "orchard").come()
    juliet = await Client(server, "juliet", "balcony").come()
    await befriend(romeo, juliet)
    romeo.send_message("juliet@localhost", "Good morrow", mtype="chat")
    assert (await juliet.next_message())["body"] == "Good morrow"
    await juliet.go()
    for number in range(5):
        romeo.send_message("juliet@localhost", f"while away {number}", mtype="chat")
    await romeo.plugin["xep_0199"].ping()
    juliet = await Client(server, "juliet", "balcony").come()
    for number in range(5):
        message = await juliet.next_message()
        assert message["body"] == f"while away {number}", message
        assert message["delay"]["stamp"], "offline messages carry their time"
    expected = ["Good morrow"] + [f"while away {number}" for number in range(5)]
    assert await juliet.archive() == expected, "juliet's archive"
    assert await romeo.archive() == expected, "romeo's archive"
    assert juliet.client_roster["romeo@localhost"]["subscription"] == "both"
    return romeo, juliet


async def kill_under_load(server, romeo, juliet):
    """What the server answered for (a ping behind each message) must be there after SIGKILL."""
    acknowledged = []
    async def load():
        for number in range(100_000):
            romeo.send_message("juliet@localhost", f"load {number}", mtype="chat")
            await romeo.plugin["xep_0199"].ping(timeout=TIMEOUT)
            acknowledged.append(f"load {number}")
    task = asyncio.ensure_future(load())
    await asyncio.sleep(2)
    server.kill()
    task.cancel()
    romeo.abort()
    juliet.abort()
    await asyncio.gather(task, return_exceptions=True)
    assert len(acknowledged) > 20, f"only {len(acknowledged)} messages in two seconds"
    server.start()
    juliet = await Client(server, "juliet", "chamber").come()
    archived = await juliet.archive()
    missing = [body for body in acknowledged if archived.count(body) != 1]
    assert not missing, f"lost or doubled: {missing[:5]} of {len(acknowledged)}"
    await juliet.go()
    print(f"   {len(acknowledged)} acknowledged messages, none missing after SIGKILL")


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        romeo, juliet = await converse(server)
        print("   add, chat, leave, come back, archive: ok")
        await kill_under_load(server, romeo, juliet)
        server.stop()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
