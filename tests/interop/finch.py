"""finch, which is Pidgin in a terminal (libpurple): the picture set there shows in new clients (XEP-0398), theirs are fetched by it.
TLS: it knows the certificate.

usage: finch.py BINARY"""
import asyncio
import logging
import os
import shutil
import sys

from client import befriend
from person import come, published
from pictures import GIF, PNG, PNG_NAME, photo, show
from server import Server
from terminal import Terminal

ROMEO = "romeo@localhost"
ACCOUNT = """<?xml version='1.0' encoding='UTF-8' ?>
<account version='1.0'><account><protocol>prpl-jabber</protocol><name>romeo@localhost/finch</name><password>secret of romeo</password>
<statuses><status type='available' name='Available' active='true'><attributes/></status></statuses>
<settings><setting name='connect_server' type='string'>127.0.0.1</setting><setting name='port' type='int'>{port}</setting>
<setting name='connection_security' type='string'>require_tls</setting><setting name='buddy_icon' type='string'>romeo.png</setting>
<setting name='use-global-buddyicon' type='bool'>0</setting></settings>
<settings ui='gnt-purple'><setting name='auto-login' type='bool'>1</setting></settings></account></account>"""


def make_ready(server):
    """Its account, its picture, and the certificate it knows."""
    def at(home):
        folder = os.path.join(home, ".purple")
        certificates = os.path.join(folder, "certificates", "x509", "tls_peers")
        os.makedirs(certificates)
        shutil.copy(server.certificate, os.path.join(certificates, "127.0.0.1"))
        os.mkdir(os.path.join(folder, "icons"))
        with open(os.path.join(folder, "icons", "romeo.png"), "wb") as file:
            file.write(PNG)
        with open(os.path.join(folder, "accounts.xml"), "w", encoding="utf-8") as file:
            file.write(ACCOUNT.format(port=server.port))
    return at


async def has_picture(terminal, picture):
    """Among those that it keeps of its contacts."""
    folder = os.path.join(terminal.home, ".purple", "icons")
    for _ in range(100):
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                if file.read() == picture:
                    return
        await asyncio.sleep(0.2)
    raise AssertionError(f"no such picture:\n{terminal.screen()}")


async def converse(terminal, juliet):
    # It may set its picture in both forms.
    await juliet.until(lambda: published(ROMEO, "urn:xmpp:avatar:metadata", PNG_NAME) in juliet.events, "its picture")
    assert await photo(juliet, ROMEO) == ("image/png", PNG)
    await has_picture(terminal, GIF)
    another = PNG + b"\n"
    await show(juliet, another, "image/png")
    await has_picture(terminal, another)
    juliet.send_message(ROMEO, "good morrow", mtype="chat")
    await juliet.answered()
    terminal.wait_for("good morrow")
    terminal.press("M-2")  # its second window
    terminal.type("ay me")
    assert (await juliet.next_message())["body"] == "ay me"


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet"):
            server.user_add(name, f"secret of {name}")
        juliet = await come(server, "juliet", "balcony", plugins=["xep_0054", "xep_0084"])
        romeo = await come(server, "romeo", "orchard")
        await befriend(romeo, juliet)
        await romeo.go()
        await show(juliet, GIF, "image/gif")
        await juliet.heard()
        terminal = Terminal(server.certificate, "finch", make_ready(server))
        try:
            await converse(terminal, juliet)
        finally:
            terminal.close()
        await juliet.go()
        server.stop()
    print("   finch shows its picture and fetches others', also changed ones; chats: ok")


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
