"""slixmpp over TLS 1.2 binds its SCRAM logins to tls-unique, the only channel binding that it takes (RFC 5802 §6.1).

usage: binding.py BINARY"""
import asyncio
import ssl
import sys

from client import Client
from server import Server

MECHANISMS = ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS")


async def log_in(server, mechanism=None):
    """Logs in and out; returns the mechanism and the TLS version."""
    client = Client(server, "romeo", "orchard")
    client.ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
    mechanisms = client.plugin["feature_mechanisms"]
    mechanisms.use_mech = mechanism
    await client.come()
    used = mechanisms.mech.name, client.transport.get_extra_info("ssl_object").version()
    await client.go()
    return used


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        for mechanism in MECHANISMS:
            assert await log_in(server, mechanism) == (mechanism, "TLSv1.2"), mechanism
        chosen, _ = await log_in(server)
        assert chosen.endswith("-PLUS"), f"left to itself it takes {chosen}"
        server.stop()
    print(f"binds with {', '.join(MECHANISMS)}; chooses {chosen}")


asyncio.run(main(sys.argv[1]))
