"""nbxmpp, the library of Gajim: SASL2 without Bind 2, then the classic ways to bind, to enable and to resume.

It tells nothing of itself (no user agent, no `from`), and its certificate checks are GLib's.
usage: gajim.py BINARY"""
import logging
import sys
import time

from gi.repository import Gio, GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.protocol import Iq, Message, Presence
from nbxmpp.structs import StanzaHandler

from server import Server

SECONDS_MAX = 20


def until(condition, what):
    """Runs the main loop until it is so."""
    tick = GLib.timeout_add(100, lambda: True)  # a wait for an event ends by itself
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"never {what}")
        GLib.MainContext.default().iteration(True)
    GLib.source_remove(tick)


class Person:
    """A client that keeps what it sent, got and heard."""

    def __init__(self, server, name, kind):
        self.client = Client(log_context=name)
        self.client.set_domain(server.domain)
        self.client.set_username(name)
        self.client.set_password(f"secret of {name}")
        self.client.set_resource("gajim")
        self.client.set_accepted_certificates([Gio.TlsCertificate.new_from_file(server.certificate)])
        port = server.tls_port if kind == ConnectionType.DIRECT_TLS else server.port
        self.client.set_custom_host(f"{server.domain}:{port}", ConnectionProtocol.TCP, kind)
        self.signals = []
        self.sent = []
        self.heard = []
        for signal in ("connected", "resume-successful", "resume-failed", "disconnected", "connection-failed"):
            self.client.subscribe(signal, lambda _client, name: self.signals.append(name))
        self.client.subscribe("stanza-sent", lambda _client, _name, stanza: self.sent.append(str(stanza)))
        self.client.register_handler(StanzaHandler(name="message", callback=self.on_message))

    def on_message(self, _client, stanza, _properties):
        if stanza.getBody():
            self.heard.append(stanza.getBody())

    def come(self, signal="connected"):
        self.signals.clear()
        self.client.connect()
        until(lambda: self.signals or self.client.has_error, signal)
        assert self.signals == [signal], (self.signals, self.client.get_error())
        return self

    def is_asked(self, stanza):
        answers = []
        self.client.send_stanza(stanza, callback=lambda _client, answer: answers.append(answer))
        until(lambda: answers, "answered")

    def say(self, to, *bodies):
        """Returns when the server has answered for them: it answers a ping that came behind them."""
        for body in bodies:
            self.client.send_stanza(Message(to=f"{to}@localhost", body=body, typ="chat"))
        ping = Iq("get")
        ping.addChild("ping", namespace="urn:xmpp:ping")
        self.is_asked(ping)

    def hears(self, *bodies):
        until(lambda: len(self.heard) >= len(bodies), f"heard {bodies[-1]}")
        assert self.heard == list(bodies), self.heard

    def vanish(self):
        """The connection ends, the stream does not."""
        self.client.disconnect(immediate=True)
        until(lambda: "disconnected" in self.signals, "disconnected")

    def go(self):
        self.client.disconnect()
        until(lambda: "disconnected" in self.signals, "disconnected")
        self.client.destroy()


def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        romeo = Person(server, "romeo", ConnectionType.DIRECT_TLS).come()
        juliet = Person(server, "juliet", ConnectionType.START_TLS).come()
        for person in (romeo, juliet):
            assert any("<authenticate" in sent and "urn:xmpp:sasl:2" in sent for sent in person.sent), "not SASL2"
            person.client.send_stanza(Presence())
        romeo.say("juliet", "1", "2")
        juliet.hears("1", "2")
        juliet.say("romeo", "a")
        romeo.hears("a")
        print("   SASL2 and the classic binding, messages both ways: ok")
        for person, other in ((juliet, romeo), (romeo, juliet)):
            name = person.client.username
            before = list(person.heard)
            person.vanish()
            other.say(name, "while away 1", "while away 2")
            person.come("resume-successful")
            other.say(name, "after")
            person.hears(*before, "while away 1", "while away 2", "after")
            assert len(server.logged("session.resumed", f"jid={name}@localhost/gajim")) == 1
        print("   classic resumption after SASL2, with STARTTLS and direct TLS: ok")
        romeo.go()
        juliet.go()
        server.stop()


logging.getLogger("nbxmpp").setLevel(logging.CRITICAL)  # it calls a reset connection an error
main(sys.argv[1])
