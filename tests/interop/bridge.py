"""slidge with its example plug-in beside the server: one setting, found, registered with by chat; its contacts are in the
roster, chat, are archived, wait for the absent and survive SIGKILL.

usage: bridge.py BINARY      SLIDGE=... for another folder with the plug-in than .slidge beside this file"""
import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile

from client import TIMEOUT, Client
from server import Server

DOMAIN, SECRET = "slidge.localhost", "secret-of-slidge"
BABA, DEVIL = f"111@{DOMAIN}", f"666@{DOMAIN}"
PLUGIN = os.path.abspath(os.environ.get("SLIDGE", os.path.join(os.path.dirname(__file__), ".slidge")))


class Slidge:
    """A process of its own."""

    def __init__(self, server):
        self.server = server
        self.home = tempfile.mkdtemp(prefix="stonechat-slidge-")
        self.log = open(os.path.join(self.home, "log"), "ab")
        self.process = None

    def start(self):
        uploads = os.path.join(self.home, "uploads")
        os.makedirs(uploads, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slidge", "--legacy-module", "superduper", "--jid", DOMAIN, "--secret", SECRET,
             "--server", "127.0.0.1", "--port", str(self.server.component_port), "--home-dir", self.home,
             "--no-upload-path", uploads, "--no-upload-url-prefix", "http://localhost/", "--user-jid-validator", ".*@localhost"],
            env={**os.environ, "PYTHONPATH": PLUGIN}, stdout=self.log, stderr=self.log, cwd=self.home)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            # Where its server is gone it sometimes does not find the way out.
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()
        if kind is not None:
            print(open(self.log.name, encoding="utf-8").read()[-6000:])
        shutil.rmtree(self.home, ignore_errors=True)


async def there(romeo):
    """Until it is connected."""
    for _ in range(100):
        items = await romeo.plugin["xep_0030"].get_items("localhost", local=False)
        if DOMAIN in {item[0] for item in items["disco_items"]["items"]}:
            return
        await asyncio.sleep(0.2)
    raise SystemExit("slidge does not come")


async def heard(romeo, contact, body):
    """The next message of a contact."""
    while True:
        message = await romeo.next_message()
        if message["from"].bare == contact and (not body or body in message["body"]):
            return message


async def register(romeo):
    """By chat, as any client can; until a contact of the other network writes."""
    info = await romeo.plugin["xep_0030"].get_info(DOMAIN, local=False)
    assert any(identity[0] == "gateway" for identity in info["disco_info"]["identities"]), info
    romeo.send_message(DOMAIN, "register", mtype="chat")
    answers = {"User name?": "slidger", "Password?": "any password", "Code?": "666"}
    while (message := await romeo.next_message())["from"].bare == DOMAIN:
        question = message["body"]
        if question.endswith("(or 'abort')"):  # whatever else it asks are preferences
            answer = next((answer for words, answer in answers.items() if words in question), "yes")
            romeo.send_message(DOMAIN, answer, mtype="chat")
    romeo.inbox.put_nowait(message)


async def sync(romeo, contact):
    """slidge adds its contacts to the roster itself, for it may."""
    romeo.send_message(DOMAIN, "sync-contacts", mtype="chat")
    await heard(romeo, DOMAIN, "Are you sure")
    romeo.send_message(DOMAIN, "yes", mtype="chat")
    await is_contact(romeo, contact)


async def is_contact(romeo, contact):
    for _ in range(100):
        if romeo.client_roster[contact]["subscription"] == "both":
            return
        await asyncio.sleep(0.2)
    raise SystemExit(f"{contact} is not in the roster: {romeo.client_roster}")


async def main(binary):
    privileges = f'component_privileges = "{DOMAIN} roster=both message=outgoing"'
    with Server(binary, components=[f"{DOMAIN} {SECRET}"], settings=privileges) as server:
        server.user_add("romeo", "secret of romeo")
        with Slidge(server) as slidge:
            romeo = await Client(server, "romeo", "orchard").come()
            await there(romeo)
            await register(romeo)
            await heard(romeo, DEVIL, "Hey devil!")
            await sync(romeo, BABA)
            romeo.send_message(BABA, "how are you", mtype="chat")
            await heard(romeo, BABA, "A reply")
            archive = await romeo.archive()
            assert {"how are you", "Hey devil!"} <= set(archive), archive
            # Romeo is away while its answer comes; then the server is killed, and slidge started anew.
            romeo.send_message(BABA, "and now", mtype="chat")
            await romeo.plugin["xep_0199"].ping()
            await romeo.go()
            await asyncio.sleep(2)  # its plug-in takes half a second to answer
            server.kill()
            slidge.end()
            server.start()
            slidge.start()
            romeo = await Client(server, "romeo", "orchard").come()
            await heard(romeo, BABA, "A reply")
            await there(romeo)
            await is_contact(romeo, BABA)
            romeo.send_message(BABA, "still there", mtype="chat")
            await heard(romeo, BABA, "A reply")
            await romeo.go()
    print("ok: slidge is found, registered with, fills the roster, chats; what it said to the absent survives SIGKILL")


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
