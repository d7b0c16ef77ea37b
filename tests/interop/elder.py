"""slixmpp 1.8.3, which Debian 12 has: it takes tls-unique for the channel binding of TLS 1.3 as well.

usage: elder.py BINARY"""
import asyncio
import ssl
import sys

import slixmpp

from server import Server

TIMEOUT = 20


async def log_in(server, version):
    """Logs in and out; returns the mechanism and the TLS version."""
    client = slixmpp.ClientXMPP("romeo@localhost/orchard", "secret of romeo")
    client.ca_certs = server.certificate
    client.ssl_context.maximum_version = version
    ready = asyncio.Event()
    client.add_event_handler("session_start", lambda _: ready.set())
    client.connect(("127.0.0.1", server.port))
    await asyncio.wait_for(ready.wait(), TIMEOUT)
    used = client.plugin["feature_mechanisms"].mech.name, client.transport.get_extra_info("ssl_object").version()
    client.disconnect()
    await asyncio.wait_for(client.disconnected, TIMEOUT)
    return used


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        used = [await log_in(server, version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
        expected = [("SCRAM-SHA-512-PLUS", version) for version in ("TLSv1.2", "TLSv1.3")]
        assert used == expected, used
        assert not server.logged("login.failed"), "it had to try more than once"
        server.stop()
    print(f"slixmpp {slixmpp.__version__}: {used}")


asyncio.run(main(sys.argv[1]))
