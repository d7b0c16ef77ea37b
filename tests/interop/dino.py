"""Dino beside Gajim: juliet has both, romeo has Gajim.

Dino logs in, shows the avatar that romeo set, and exchanges OMEMO messages: what romeo says is read on both of juliet's
devices, what juliet types in Dino by romeo and on her other device; closed and started anew it reads what it missed.
In a network of its own, where the server can be where Dino looks for it, with its certificate among the system's.
usage: dino.py BINARY"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from server import Server
from windows import DEVICES, Dino, Gajim, meet, open_chats, png

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def trust(server, place):
    """For whoever asks the system, in this namespace."""
    store = os.path.join(place, "authorities")
    with open(store, "wb") as file:
        for path in (AUTHORITIES, server.certificate):
            with open(path, "rb") as certificates:
                file.write(certificates.read())
    subprocess.run(["mount", "--bind", store, AUTHORITIES], check=True)


def converse(romeo, juliet, dino, picture):
    with open(picture, "wb") as file:
        file.write(png(64))
    romeo.do(f"set_avatar({picture!r})")
    dino.until("select 1 from contact_avatar where hash = ?", hashlib.sha1(png(64)).hexdigest())
    print("   Dino logged in, shows the avatar of a contact: ok", flush=True)
    romeo.until(f"len({DEVICES.format('juliet@localhost')}) == 2")
    open_chats(romeo, juliet)
    romeo.says("It is the east")
    juliet.hears("romeo@localhost", "It is the east")
    dino.hears("It is the east")
    dino.says("Ay me")
    romeo.hears("juliet@localhost", "Ay me")
    juliet.hears("romeo@localhost", "Ay me")
    print("   OMEMO between Dino and Gajim, both devices: ok", flush=True)
    dino.look("dino")
    dino.close()
    romeo.says("O speak again")
    juliet.hears("romeo@localhost", "O speak again")
    dino.start()
    dino.hears("O speak again")
    dino.says("Wherefore art thou")
    romeo.hears("juliet@localhost", "Wherefore art thou")
    print("   OMEMO to Dino started anew: ok", flush=True)


def main(binary):
    place = tempfile.mkdtemp(prefix="stonechat-dino-")
    people = []

    def joins(client):
        people.append(client)
        return client.start()

    try:
        server = Server(binary)
        server.port, server.tls_port = 5222, 5223
        with server:
            server.user_add("romeo", "secret of romeo")
            server.user_add("juliet", "secret of juliet")
            trust(server, place)
            dino = joins(Dino(os.path.join(place, "window"), "juliet", "romeo@localhost"))
            # Its list of devices goes out before its keys, and Gajim asks for keys once: it has to be late enough.
            dino.until_done(":publish ", "eu.siacs.conversations.axolotl.bundles:")
            romeo = joins(Gajim(os.path.join(place, "orchard"), "romeo")).log_in(server, direct_tls=False)
            juliet = joins(Gajim(os.path.join(place, "balcony"), "juliet")).log_in(server, direct_tls=False)
            meet(romeo, juliet)
            converse(romeo, juliet, dino, os.path.join(place, "avatar.png"))
            for gajim in (romeo, juliet):
                gajim.is_content()
            for request, condition in dino.refusals():
                assert (condition == "item-not-found" and ":items " in request) or "urn:xmpp:extdisco:2" in request, f"{condition}: {request}"
            assert not server.logged("WARN") + server.logged("ERROR"), "the server complains"
            server.stop()
    finally:
        for client in people:
            client.end()
        shutil.rmtree(place, ignore_errors=True)


if "inside" not in sys.argv:
    flags = ["--net", "--mount"] if os.getuid() == 0 else ["--map-root-user", "--net", "--mount"]
    if subprocess.run(["unshare", *flags, "true"], check=False).returncode != 0:
        print("no namespaces are to be had here: left out")
        sys.exit(0)
    os.execvp("unshare", ["unshare", *flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                          sys.executable, os.path.abspath(__file__), os.path.abspath(sys.argv[1]), "inside"])
main(sys.argv[1])
