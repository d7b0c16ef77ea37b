"""slixmpp's own integration tests, which its authors run against Prosody, against this server: those of what there is here.

Messages, blocking, archive, private storage, PEP of XEP-0222 and 0223, avatars, vCards and their pictures, in-band bytes,
last activity, rooms, reconnecting, how TLS is chosen and checked. Left out: HTTP upload, a component with their name, XEP-0455.
In a network of its own, for they connect to where DNS says. usage: suite.py BINARY"""
import asyncio
import os
import re
import subprocess
import sys

from client import TIMEOUT, Client
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = ("basic_connect_and_message blocking bob chatmarkers ibb last_activity mam moderate muc pep ping privatestorage quickresponse "
         "reactions reconnect retract selfping slow_filters tls_check user_avatar vcard vcard_avatar version").split()


async def befriend(server):
    """They take for granted that the two see each other's presence."""
    people = [Client(server, name, "friend") for name in ("romeo", "juliet")]
    for person in people:
        person.auto_authorize = person.auto_subscribe = True
        await person.come()
    people[0].send_presence_subscription("juliet@localhost")
    end = asyncio.get_running_loop().time() + TIMEOUT
    while any(person.client_roster[f"{other}@localhost"]["subscription"] != "both" for person, other in zip(people, ("juliet", "romeo"))):
        assert asyncio.get_running_loop().time() < end, "they never became friends"
        await asyncio.sleep(0.05)
    for person in people:
        await person.go()


def main(binary):
    server = Server(binary)
    server.port, server.tls_port = 5222, 5223
    with server:
        env = dict(os.environ, SSL_CERT_FILE=server.certificate, CI_MUC_SERVER="chat.localhost")
        for number, name in enumerate(("romeo", "juliet"), 1):
            server.user_add(name, f"secret of {name}")
            env[f"CI_ACCOUNT{number}"] = f"{name}@localhost"
            env[f"CI_ACCOUNT{number}_PASSWORD"] = f"secret of {name}"
        asyncio.run(befriend(server))
        told = subprocess.run([sys.executable, "-W", "ignore", "run_integration_tests.py", *(f"itests/test_{test}.py" for test in TESTS)],
                              cwd=os.path.join(HERE, ".slixmpp"), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        ran = re.search(r"^Ran (\d+) tests", told.stdout, re.MULTILINE)
        if told.returncode != 0 or not ran or int(ran.group(1)) < len(TESTS):
            raise SystemExit(told.stdout)
        server.stop()
    print(f"   {ran.group(1)} tests of slixmpp's: ok")


if "inside" not in sys.argv:
    flags = ["--net"] if os.getuid() == 0 else ["--map-root-user", "--net"]
    if subprocess.run(["unshare", *flags, "true"], check=False).returncode != 0:
        print("no network namespace is to be had here: left out")
        sys.exit(0)
    os.execvp("unshare", ["unshare", *flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                          sys.executable, os.path.abspath(__file__), os.path.abspath(sys.argv[1]), "inside"])
main(sys.argv[1])
