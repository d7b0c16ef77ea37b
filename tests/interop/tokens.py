"""Tokens in place of passwords: the README's own commands, and slixmpp with PLAIN and OAUTHBEARER (RFC 7628).

usage: tokens.py BINARY"""
import asyncio
import logging
import os
import re
import subprocess
import sys

from slixmpp.exceptions import IqError
from slixmpp.util.sasl.client import Mech, sasl_mech

from client import TIMEOUT, Client
from server import Server

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")


@sasl_mech(100)
class OAUTHBEARER(Mech):
    """slixmpp has none."""

    name = "OAUTHBEARER"
    required_credentials = {"access_token"}
    refusals = []

    def process(self, challenge=b""):
        if challenge:  # §3.2.2: why not, as JSON; §3.2.3: the client says that it heard
            self.refusals.append(challenge)
            return b"\1"
        return b"n,,\1auth=Bearer " + self.credentials["access_token"] + b"\1\1"


def bearer(server, token):
    client = Client(server, "romeo", "bell", password="none")
    client.credentials["access_token"] = token
    client.plugin["feature_mechanisms"].use_mech = "OAUTHBEARER"
    return client


def plain(server, token):
    client = Client(server, "romeo", "bell", password=token)
    client.plugin["feature_mechanisms"].use_mech = "PLAIN"
    return client


def output(command, said=""):
    done = subprocess.run(command, input=said, text=True, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}")
    return done.stdout


def run(server, script, token, token_id):
    """Commands as the README has them, at this server's ports and names."""
    for old, new in (("home.local:5223", f"localhost:{server.tls_port}"), ("home.local", "localhost"), ("alice", "romeo"),
                     ("bob", "juliet"), ("revoke romeo ID", f"revoke romeo {token_id}")):
        script = script.replace(old, new)
    script = re.sub(r"^TOKEN=.*$", f"TOKEN={token}", script, flags=re.MULTILINE)
    script = re.sub(r"^CERT=.*$", f"CERT={server.certificate}", script, flags=re.MULTILINE)
    prelude = f'''set -e -o pipefail
TOKEN={token} CERT={server.certificate}
stonechat() {{ {server.binary} "$@" --data {server.data}; }}
go-sendxmpp() {{ command go-sendxmpp -j localhost:{server.port} "$@"; }}
'''
    return output(["bash", "-c", prelude + script])


async def as_the_readme_says(server, juliet):
    with open(README, encoding="utf-8") as readme:
        section = readme.read().split("\n## Tokens instead of passwords\n")[1].split("\n## ")[0]
    as_password, as_bearer = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    token = server.token_add("romeo", "--name", "door bell")
    token_id = re.search(r"^(\S+)\s", run(server, "stonechat token list romeo", token, ""), re.MULTILINE).group(1)
    assert "<bound" in await asyncio.to_thread(run, server, as_bearer, token, token_id)
    assert (await juliet.next_message())["body"] == "ding"
    assert len(server.logged("login.ok", "account=romeo@localhost", "mechanism=OAUTHBEARER")) == 1
    print("   openssl as a bearer (README): ok")
    shown = await asyncio.to_thread(run, server, as_password, token, token_id)
    assert (await juliet.next_message())["body"].strip() == "ding"
    assert len(server.logged("login.ok", "account=romeo@localhost", "mechanism=PLAIN")) == 1
    assert "door bell" in shown and "restricted" in shown, shown
    print("   go-sendxmpp with a token as its password (README): ok")
    return token  # revoked by the last line


async def with_sendxmpp(server, juliet):
    """sendxmpp (Perl) says in its stream header that it is from its own machine: no account, no matter."""
    token = server.token_add("romeo", "--name", "cron")
    for kind, port in (("--tls", server.port), ("--ssl", server.tls_port)):
        command = ["sendxmpp", "-u", "romeo", "-p", token, "-j", f"localhost:{port}", kind, "--tls-ca-path",
                   server.certificate, "juliet@localhost"]
        await asyncio.to_thread(output, command, f"ding {kind}")
        assert (await juliet.next_message())["body"].strip() == f"ding {kind}"
    print("   sendxmpp with a token as its password, STARTTLS and direct TLS: ok")


async def with_slixmpp(server, juliet):
    token = server.token_add("romeo", "--name", "bot", "--restricted")
    for make in (plain, bearer):
        romeo = await make(server, token).come()
        romeo.register_plugin("xep_0077")
        romeo.send_message("juliet@localhost", "ding", mtype="chat")
        assert (await juliet.next_message())["body"] == "ding"
        try:
            await romeo.plugin["xep_0077"].change_password("another", timeout=TIMEOUT)
            raise SystemExit("a restricted token changed the password")
        except IqError as error:
            assert error.condition == "forbidden", error
        await romeo.go()
    print("   slixmpp with PLAIN and OAUTHBEARER, restricted: ok")


async def refused(server, token):
    """A token that is no longer good: the reason as JSON, then failure."""
    romeo = bearer(server, token)
    failed = asyncio.Event()
    romeo.del_event_handler("failed_auth", romeo.on_failed_auth)
    romeo.add_event_handler("failed_auth", lambda _: failed.set())
    romeo.connect("localhost", server.port)
    await asyncio.wait_for(failed.wait(), TIMEOUT)
    assert OAUTHBEARER.refusals == [b'{"status":"invalid_token"}'], OAUTHBEARER.refusals
    await romeo.go()
    print("   a revoked one is refused with RFC 7628's JSON: ok")


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        juliet = await Client(server, "juliet", "balcony").come()
        revoked = await as_the_readme_says(server, juliet)
        await with_slixmpp(server, juliet)
        await refused(server, revoked)
        await with_sendxmpp(server, juliet)
        await juliet.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("slixmpp.features").setLevel(logging.CRITICAL)  # a refusal is what is asked for
asyncio.run(main(sys.argv[1]))
