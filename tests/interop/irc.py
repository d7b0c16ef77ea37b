"""biboumi beside the server: a channel of an IRC server (ngircd) as a chat. What is said on either side is heard on the other.

usage: irc.py BINARY"""
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile

from client import TIMEOUT, Client
from server import Server

DOMAIN, SECRET = "irc.localhost", "secret-of-irc"
CHANNEL = "#verona"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def settings(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


class Irc:
    """Somebody on the IRC server, by its bare protocol."""

    async def come(self, port, nick):
        self.nick = nick
        for _ in range(100):
            try:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.1)
        self.say(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        await self.hear(" 001 ")
        self.say(f"JOIN {CHANNEL}")
        await self.hear(" 366 ")
        return self

    def say(self, *lines):
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self, wanted):
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), TIMEOUT)).decode()
            assert line, f"no {wanted}"
            if line.startswith("PING"):
                self.say(line.replace("PING", "PONG", 1).strip())
            if wanted in line:
                return line


async def heard(client, body):
    while True:
        message = await client.next_message()
        if message["body"] == body:
            return message["from"]


async def there(romeo):
    for _ in range(100):
        items = await romeo.plugin["xep_0030"].get_items("localhost", local=False)
        if DOMAIN in {item[0] for item in items["disco_items"]["items"]}:
            return
        await asyncio.sleep(0.2)
    raise SystemExit(f"{DOMAIN} is not among the items")


async def main(binary, folder):
    irc_port = free_port()
    ngircd = settings(folder, "ngircd.conf",
                      f"[Global]\nName = irc.example.test\nInfo = test\nPorts = {irc_port}\nListen = 127.0.0.1\n"
                      "[Options]\nDNS = no\nIdent = no\nPAM = no\n")
    with Server(binary, components=[f"{DOMAIN} {SECRET}"]) as server:
        server.user_add("romeo", "secret of romeo")
        bridge = settings(folder, "biboumi.cfg",
                          f"hostname={DOMAIN}\npassword={SECRET}\nxmpp_server_ip=127.0.0.1\nport={server.component_port}\n"
                          f"db_name={folder}/biboumi.sqlite\nlog_level=3\npersistent_by_default=false\nidentd_port=0\n")
        log = open(os.path.join(folder, "log"), "ab")
        processes = [subprocess.Popen(command, stdout=log, stderr=log)
                     for command in (["/usr/sbin/ngircd", "-n", "-f", ngircd], ["biboumi", bridge])]
        try:
            juliet = await Irc().come(irc_port, "juliet")
            romeo = await Client(server, "romeo", "orchard").come()
            await there(romeo)
            for plugin in ("xep_0045", "xep_0050"):
                romeo.register_plugin(plugin)
            room = f"{CHANNEL}%127.0.0.1@{DOMAIN}"
            await configure(romeo, irc_port)
            romeo.plugin["xep_0045"].join_muc(room, "romeo")
            await juliet.hear("JOIN")
            romeo.send_message(room, "but soft", mtype="groupchat")
            await juliet.hear("but soft")
            juliet.say(f"PRIVMSG {CHANNEL} :ay me")
            assert (await heard(romeo, "ay me")).resource == "juliet"
            juliet.say("PRIVMSG romeo :wherefore art thou")
            assert (await heard(romeo, "wherefore art thou")).bare.endswith(DOMAIN)
            await romeo.go()
        except BaseException:
            log.flush()
            print(open(log.name, encoding="utf-8", errors="replace").read()[-4000:])
            raise
        finally:
            for process in processes:
                process.kill()
                process.wait()
        server.stop()
    print("ok: a channel of IRC is a chat, both ways, and so is a nick")


async def configure(romeo, port):
    """The port of the IRC server is asked for by an ad-hoc command (XEP-0050): a form, and what is to be in it."""
    commands = romeo.plugin["xep_0050"]
    jid = f"127.0.0.1@{DOMAIN}"
    form = await commands.send_command(jid, "configure", action="execute")
    session = form["command"]["sessionid"]
    fields = form["command"]["form"]
    fields["type"] = "submit"
    fields.set_values({"ports": [str(port)], "tls_ports": []})
    await commands.send_command(jid, "configure", action="complete", payload=fields, sessionid=session)


place = tempfile.mkdtemp(prefix="stonechat-irc-")
try:
    asyncio.run(main(sys.argv[1], place))
finally:
    shutil.rmtree(place, ignore_errors=True)
