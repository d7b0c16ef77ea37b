"""Two servers of one domain behind HAProxy, which spreads connections by the `from` of the stream header: evenly, and the same
address to the same server. An account that moved is sent there by name.

usage: haproxy.py BINARY"""
import asyncio
import os
import re
import socket
import subprocess
import sys
import time


from client import Client
from server import Server

ACCOUNTS = 60
HEADER = ("<?xml version='1.0'?><stream:stream {}to='localhost' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def settings(server):
    with open(os.path.join(server.data, "stonechat.toml"), "w", encoding="utf-8") as file:
        file.write('proxy_addresses = ["127.0.0.1"]\nconnections_per_address_max = 5\nlog = "debug"\n')


ADDRESS = "127.0.0.1"


def come(port, name):
    """Reads the features before TLS."""
    sender = f"from='{name}@localhost' " if name else ""
    with socket.create_connection((ADDRESS, port)) as tcp:
        tcp.settimeout(20)
        tcp.sendall(HEADER.format(sender).encode())
        seen = b""
        while b"</stream:features>" not in seen:
            data = tcp.recv(4096)
            assert data, seen
            seen += data
        return re.search(rb" id='([^']*)'", seen).group(1)


def count(server):
    return sum("connection.opened" in line for line in server.logged("DEBUG"))


def which(servers, port, name):
    before = [count(server) for server in servers]
    come(port, name)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        after = [count(server) for server in servers]
        if after != before:
            return [new - old for new, old in zip(after, before)].index(1)
    raise AssertionError("nobody was let in")


async def log_in(server, port, name):
    """A real client, by way of the proxy."""
    client = Client(server, name, "a", "secret")
    client.connect(ADDRESS, port)
    await asyncio.wait_for(client.ready.wait(), 20)
    await client.go()


def main(binary):
    servers = [Server(binary) for _ in range(2)]
    for server in servers:
        settings(server)
    with servers[0], servers[1]:
        port = free_port()
        environment = dict(os.environ, XMPP_PORT=str(port), SERVER_ONE=str(servers[0].port), SERVER_TWO=str(servers[1].port))
        folder = os.path.dirname(os.path.abspath(__file__))
        proxy = subprocess.Popen(["haproxy", "-db", "-f", os.path.join(folder, "haproxy.cfg")], env=environment)
        try:
            for _ in range(100):
                try:
                    come(port, None)
                    break
                except OSError:
                    time.sleep(0.1)
            names = [f"user{number}" for number in range(ACCOUNTS)]
            first = [which(servers, port, name) for name in names]
            share = sum(first) / ACCOUNTS
            assert 0.25 < share < 0.75, share
            assert first == [which(servers, port, name) for name in names], "the same address, another server"
            assert [which(servers, port, name.upper()) for name in names[:5]] == first[:5]
            assert len({which(servers, port, None) for _ in range(5)}) == 1
            # A real client, which does not say it before TLS.
            home = servers[which(servers, port, None)]
            home.user_add("romeo", "secret")
            asyncio.run(log_in(home, port, "romeo"))
        finally:
            proxy.terminate()
            proxy.wait()
        # Without the proxy's word nobody is let in.
        with socket.create_connection((ADDRESS, servers[0].port)) as tcp:
            tcp.settimeout(20)
            tcp.sendall(HEADER.format("").encode())
            try:
                assert tcp.recv(4096) == b""
            except ConnectionResetError:
                pass
        for server in servers:
            server.stop()
    print(f"{ACCOUNTS} addresses over two servers: {sum(first)} to the second, each always to the same")


main(sys.argv[1])
