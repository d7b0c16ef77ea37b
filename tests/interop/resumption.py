"""slixmpp resumes its session after a TCP reset, after an upgrade of the server (SIGTERM, start), not after SIGKILL.

usage: resumption.py BINARY"""
import asyncio
import logging
import socket
import struct
import sys

from client import TIMEOUT, Client
from server import Server


class Resuming(Client):
    """A client with stream management, whose connection can be broken."""

    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        self.register_plugin("xep_0198")
        self.heard = []
        self.enabled = asyncio.Event()
        self.resumed = asyncio.Event()
        self.refused = asyncio.Event()
        self.gone = asyncio.Event()
        self.add_event_handler("message", lambda message: self.heard.append(message["body"]))
        self.add_event_handler("sm_enabled", lambda _: self.enabled.set())
        self.add_event_handler("session_resumed", lambda _: self.resumed.set())
        self.add_event_handler("sm_failed", lambda _: self.refused.set())
        self.add_event_handler("disconnected", lambda _: self.gone.set())

    @property
    def session(self):
        return self.plugin["xep_0198"].sm_id

    async def come(self):
        for event in (self.ready, self.resumed, self.refused, self.gone, self.enabled):
            event.clear()
        await super().come()
        await asyncio.wait_for(self.enabled.wait(), TIMEOUT)
        return self

    async def come_back(self):
        """The same session: no bind, no presence, no roster."""
        for event in (self.ready, self.resumed, self.refused, self.gone):
            event.clear()
        session = self.session
        self.connect(self.host_under_test.domain, self.host_under_test.port)
        await asyncio.wait_for(self.resumed.wait(), TIMEOUT)
        assert self.session == session and not self.ready.is_set(), "a new session instead of the old one"

    async def reset(self):
        """The connection ends with RST: unsent and unread bytes are lost, nothing is said."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()
        await asyncio.wait_for(self.gone.wait(), TIMEOUT)

    async def say(self, to, *bodies):
        """Returns when the server has answered for them: it answers a ping that came behind them."""
        for body in bodies:
            self.send_message(f"{to}@localhost", body, mtype="chat")
        await self.plugin["xep_0199"].ping(timeout=TIMEOUT)

    async def acknowledge(self):
        self.plugin["xep_0198"].send_ack()
        await self.plugin["xep_0199"].ping(timeout=TIMEOUT)

    async def hears(self, *bodies):
        """All that was ever heard, once there is as much as this."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while len(self.heard) < len(bodies):
                    await self.inbox.get()
        except TimeoutError:
            pass
        assert self.heard == list(bodies), f"{self.requested_jid} heard {self.heard}"


def resumptions(server, jid):
    return len(server.logged("session.resumed", f"jid={jid}"))


async def after_a_reset(server, romeo, juliet):
    await romeo.say("juliet", "1", "2")
    await juliet.hears("1", "2")
    for body in ("a", "b", "c"):
        juliet.send_message("romeo@localhost", body, mtype="chat")
    await juliet.reset()  # with these on their way or not yet
    await romeo.say("juliet", "3", "4", "5")
    await juliet.come_back()
    assert resumptions(server, "juliet@localhost/balcony") == 1
    await romeo.say("juliet", "6")
    await juliet.hears("1", "2", "3", "4", "5", "6")
    await juliet.say("romeo", "d")
    await romeo.hears("a", "b", "c", "d")
    print("   resumed after a reset, nothing lost, doubled or disordered: ok")


async def after_an_upgrade(server, romeo, juliet):
    await juliet.reset()
    await romeo.say("juliet", "7", "8")
    server.stop()  # SIGTERM
    await asyncio.wait_for(romeo.gone.wait(), TIMEOUT)
    server.start()
    await romeo.come_back()
    await romeo.say("juliet", "9")
    await juliet.come_back()
    assert resumptions(server, "juliet@localhost/balcony") == 2
    assert resumptions(server, "romeo@localhost/orchard") == 1
    await romeo.say("juliet", "10")
    await juliet.hears(*map(str, range(1, 11)))
    print("   resumed after SIGTERM and start, by old ids: ok")


async def after_a_crash(server, romeo, juliet):
    """Nobody knows the sessions any more; what was acknowledged is in the archive, and delivered to who had not seen it."""
    await juliet.acknowledge()
    await juliet.reset()
    await romeo.say("juliet", "11", "12")
    server.kill()
    await asyncio.wait_for(romeo.gone.wait(), TIMEOUT)
    server.start()
    old = juliet.session
    juliet.heard.clear()
    await juliet.come()
    assert juliet.refused.is_set() and juliet.session != old, "SIGKILL ends sessions"
    await romeo.come()
    assert romeo.refused.is_set()
    await romeo.say("juliet", "13")
    await juliet.hears("11", "12", "13")
    history = await juliet.archive()
    assert [body for body in history if body.isdigit()] == [str(number) for number in range(1, 14)], history
    assert [body for body in history if body.isalpha()] == ["a", "b", "c", "d"], history
    print("   after SIGKILL a new session, and the whole history: ok")


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        romeo = await Resuming(server, "romeo", "orchard").come()
        juliet = await Resuming(server, "juliet", "balcony").come()
        await after_a_reset(server, romeo, juliet)
        await after_an_upgrade(server, romeo, juliet)
        await after_a_crash(server, romeo, juliet)
        await romeo.go()
        await juliet.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
