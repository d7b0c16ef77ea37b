"""A small disk that fills up while the server runs: it stays up, refuses what it cannot keep, heals by itself; it stops and
starts with not a byte left. On a file system in memory, in a mount namespace of its own.

usage: fulldisk.py BINARY"""
import os
import subprocess
import sys
import tempfile
import time

from bare import Client
from server import Server

DISK = "48m"


def fill(folder):
    """Not a byte is left."""
    with open(os.path.join(folder, "filler"), "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def send_until_refused(sender, receiver):
    """Numbers of messages to somebody absent that were accepted, until one is refused."""
    accepted = []
    for number in range(3000):
        sender.send(f"<message to='{receiver}@localhost' type='chat' id='m{number}'><body>{receiver} {number} "
                    f"{'x' * 3000}</body></message>")
        heard = sender.ping()
        if "resource-constraint" in heard:
            assert f"id='m{number}'" in heard, heard
            return accepted
        accepted.append(number)
    raise AssertionError("never refused")


def main(binary, folder):
    server = Server(binary)
    os.rmdir(server.data)
    server.data = os.path.join(folder, "data")
    os.mkdir(server.data)
    with server:
        tokens = {}
        for name in ("romeo", "juliet", "nurse"):
            server.user_add(name, "secret")
            tokens[name] = server.token_add(name, "--name", "disk")
        romeo, juliet = (Client(server, tokens[name], "a") for name in ("romeo", "juliet"))
        romeo.send("<message to='nurse@localhost' type='chat'><body>before</body></message>")
        romeo.ping()
        fill(folder)
        accepted = send_until_refused(romeo, "nurse")
        assert server.process.poll() is None
        # Who is there goes on chatting, and who was away comes in.
        romeo.send("<message to='juliet@localhost' type='chat'><body>still here</body></message>")
        juliet.hear("still here")
        again = Client(server, tokens["juliet"], "b")
        assert len(again.archived()) <= 250
        nurse = Client(server, tokens["nurse"], "a")
        kept = nurse.archived()
        assert kept[0] == "before" and len(kept) == len(accepted) + 1, (len(kept), len(accepted))
        for client in (nurse, again):
            client.socket.close()
        # It stops and starts with nothing left, in order and not.
        server.stop()
        server.start()
        romeo = Client(server, tokens["romeo"], "a")
        server.kill()
        server.start()
        romeo = Client(server, tokens["romeo"], "a")
        romeo.send("<message to='nurse@localhost' type='chat' id='full'><body>no</body></message>")
        romeo.hear("resource-constraint")
        # There is room again.
        os.remove(os.path.join(folder, "filler"))
        until = time.monotonic() + 40
        while time.monotonic() < until:
            romeo.send("<message to='nurse@localhost' type='chat' id='room'><body>room again</body></message>")
            if "resource-constraint" not in romeo.ping():
                break
            time.sleep(1)
        else:
            raise AssertionError("it does not heal")
        nurse = Client(server, tokens["nurse"], "a")
        assert nurse.archived()[-1] == "room again"
        server.stop()
    print(f"stays up on a full disk: {len(accepted)} messages accepted and kept, then refused; heals")


if len(sys.argv) == 2:
    # The log goes with the data; both vanish with the namespace.
    flags = ["-m"] if os.getuid() == 0 else ["-rm"]
    with tempfile.TemporaryDirectory(prefix="stonechat-disk-") as place:
        inside = ["unshare", *flags, "sh", "-c", 'mount -t tmpfs -o size=$1 disk "$2" && exec "$3" "$4" "$5" "$2"', "sh", DISK,
                  place, sys.executable, os.path.abspath(__file__), os.path.abspath(sys.argv[1])]
        if subprocess.run(["unshare", *flags, "true"], check=False).returncode != 0:
            print("no mount namespace is to be had here: left out")
            sys.exit(0)
        sys.exit(subprocess.run(inside, check=False).returncode)
main(sys.argv[1], sys.argv[2])
