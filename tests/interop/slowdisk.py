"""A disk that is done only when it is let: whoever waits for nothing new is answered meanwhile, whoever sends a flood is read
no further than what fits, and nothing is lost or out of order. `fdatasync` takes a byte from a pipe before it does its work.

usage: slowdisk.py BINARY"""
import os
import re
import subprocess
import sys
import tempfile
import time

from bare import Client
from server import Server

GATE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int file) {
    static int gate = -1;
    static int (*sync)(int);
    char byte;
    if (gate < 0) {
        sync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
        gate = open(getenv("SYNC_GATE"), O_RDWR);
    }
    while (read(gate, &byte, 1) != 1) {}
    return sync(file);
}
"""
# redb's two phases.
SYNCS_OF_A_COMMIT = 2
# Behind what is stepped ahead of the disk (1 MiB each of outputs and rows): buffers of sockets, pages.
GROWTH_MAX = 24 << 20


class Gate:
    def __init__(self, folder):
        source, self.library = (os.path.join(folder, name) for name in ("gate.c", "gate.so"))
        self.path = os.path.join(folder, "gate")
        with open(source, "w", encoding="utf-8") as file:
            file.write(GATE)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source, "-ldl"], check=True)
        os.mkfifo(self.path)
        self.pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def let(self, syncs):
        os.write(self.pipe, b"x" * syncs)

    def open(self):
        self.let(60_000)

    def close(self):
        try:
            while os.read(self.pipe, 65536):
                pass
        except BlockingIOError:
            pass


def rss(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def chat(to, number, more="", size=0):
    return f"<message to='{to}@localhost' type='chat'><body>n{number}.{'x' * size}</body>{more}</message>"


def numbers(client, count):
    """Of the messages that come, until there are so many."""
    found = []
    while len(found) < count:
        heard = client.hear("<body>n[0-9]+[.]", 60)
        found += [int(number) for number in re.findall("<body>n([0-9]+)[.]", heard)]
    return found


def main(binary, folder):
    gate = Gate(folder)
    server = Server(binary)
    server.environment = dict(os.environ, LD_PRELOAD=gate.library, SYNC_GATE=gate.path)
    gate.open()
    chatters = [f"chatter{number}" for number in range(8)]
    with server:
        tokens = {}
        for name in [*chatters, "romeo", "juliet", "nurse"]:
            server.user_add(name, "secret")
            tokens[name] = server.token_add(name, "--name", "slow")
        clients = [Client(server, tokens[name], "a") for name in chatters]
        romeo, juliet = (Client(server, tokens[name], "a") for name in ("romeo", "juliet"))
        time.sleep(1)
        gate.close()
        # Eight people chat, and nothing of it is on the disk.
        for number in range(5):
            for client, to in zip(clients, chatters[1:] + chatters[:1]):
                client.send(chat(to, number))
        romeo.send(chat("juliet", 1, "<no-store xmlns='urn:xmpp:hints'/>"))
        assert numbers(juliet, 1) == [1]
        nurse = Client.arrive(server)
        nurse.authenticate(tokens["nurse"], "a")
        # What a login writes is its own to wait for: one commit that is under way, and its own.
        gate.let(2 * SYNCS_OF_A_COMMIT)
        nurse.hear("<success.*?</stream:features>")
        gate.open()
        for client in clients:
            assert numbers(client, 5) == list(range(5))
        # A flood that the disk does not take.
        time.sleep(1)
        gate.close()
        before, count = rss(server.process), 3000
        romeo.socket.settimeout(2)
        sent = 0
        try:
            while sent < count:
                romeo.send(chat("juliet", sent, size=3000))
                sent += 1
        except TimeoutError:
            pass
        grown = rss(server.process) - before
        assert grown < GROWTH_MAX, grown
        gate.open()
        assert numbers(juliet, sent) == list(range(sent))
        server.stop()
    print(f"a slow disk slows what waits for it; {sent} messages went in before it was read no further, memory grew by "
          f"{grown >> 10} KiB")


with tempfile.TemporaryDirectory(prefix="stonechat-slow-") as place:
    main(sys.argv[1], place)
