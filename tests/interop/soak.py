"""Backups one after the other while messages go through as fast as they can: each is whole and has what was delivered before
it was begun, the database does not grow by it, and messages keep going.

usage: soak.py BINARY"""
import os
import subprocess
import sys
import tempfile
import threading

from bare import Client
from server import Server

BACKUPS = 5
AT_ONCE = 256
MESSAGES_BEFORE = 20_000


class Load:
    """Numbered messages from one to another, so many on their way at once."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender.socket, receiver.socket
        self.room = threading.Semaphore(AT_ONCE)
        self.delivered, self.over = 0, False
        self.changed = threading.Condition()
        for socket in (self.sender, self.receiver):
            socket.settimeout(None)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.send, self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        number = 0
        while not self.over:
            batch = []
            for _ in range(32):
                self.room.acquire()
                batch.append(f"<message to='juliet@localhost' type='chat'><body>n{number}.{'x' * 200}</body></message>")
                number += 1
            self.sender.sendall("".join(batch).encode())

    def receive(self):
        rest = b""
        while data := self.receiver.recv(1 << 20):
            *whole, rest = (rest + data).split(b"</message>")
            with self.changed:
                self.delivered += len(whole)
                self.changed.notify_all()
            for _ in whole:
                self.room.release()

    def until(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.delivered >= count, 60), f"{self.delivered} of {count}"


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


def main(binary, folder):
    with Server(binary) as server:
        tokens = {}
        for name in ("romeo", "juliet"):
            server.user_add(name, "secret")
            tokens[name] = server.token_add(name, "--name", "soak")
        load = Load(Client(server, tokens["romeo"], "a"), Client(server, tokens["juliet"], "a"))
        load.until(MESSAGES_BEFORE)
        store = os.path.join(server.data, "stonechat.redb")
        passed, befores = 0, []
        for number in range(BACKUPS):
            before, file = load.delivered, os.path.join(folder, f"backup{number}")
            run(binary, "backup", file, "--data", server.data)
            passed += load.delivered - before
            befores.append((before, file))
        assert passed > 0, "nothing went through meanwhile"
        # Twice what its messages take, as without backups: redb grows it by doubling.
        assert os.path.getsize(store) < 4 * os.path.getsize(befores[-1][1]), os.path.getsize(store)
        load.over = True
        before, file = befores[-1]
        for _, each in befores:
            run(binary, "check", each)
        restored = os.path.join(folder, "restored")
        run(binary, "restore", file, "--data", restored)
        server.stop()
        other = Server(binary)
        os.rmdir(other.data)
        other.data = restored
        with other:
            juliet = Client(other, tokens["juliet"], "b")
            last = int(juliet.archived()[-1].split(".")[0][1:])
            assert last >= before - 1, (last, before)
            other.stop()
    print(f"{BACKUPS} backups whole, the last with all of {before} messages delivered before it; {passed} went through meanwhile")


with tempfile.TemporaryDirectory(prefix="stonechat-soak-") as place:
    main(sys.argv[1], place)
