"""A slixmpp client with stream management (XEP-0198), whose connection can be broken."""
import asyncio
import socket
import struct

from client import TIMEOUT, Client


class Resuming(Client):
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
