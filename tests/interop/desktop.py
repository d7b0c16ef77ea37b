"""Gajim with its window (under Xvfb) and the OMEMO plug-in, three of it: romeo at two places, juliet at one.

Each trusts the server's certificate when asked for it; an avatar set by one is shown by the other; a room bookmarked at one
place is at the other, in its old form too; OMEMO messages both ways, to who is offline, to a device added later, to who
starts Gajim anew, with the server killed in between. No errors in their logs, none in answers but for nodes not there yet.
usage: desktop.py BINARY (SCREENSHOTS=DIRECTORY keeps pictures of the windows)"""
import hashlib
import os
import shutil
import sys
import tempfile

from server import Server
from windows import DEVICES, Gajim, meet, open_chats, png

ORCHARD = "orchard@rooms.example"


def show(romeo, juliet, garden, picture):
    """An avatar, to a contact and to the other place."""
    with open(picture, "wb") as file:
        file.write(png(64))
    digest = hashlib.sha1(png(64)).hexdigest()
    romeo.do(f"set_avatar({picture!r})")
    juliet.sees_avatar("romeo@localhost", digest)
    garden.sees_avatar("romeo@localhost", digest)
    return digest


def bookmark(romeo, garden):
    """What one place writes the other has, whatever form it speaks (XEP-0402 §3, XEP-0049)."""
    assert romeo.do("module('Bookmarks').nativ_bookmarks_used"), "it does not believe in XEP-0402 here"
    for name in ("Orchard", "Capulet's orchard"):
        romeo.do(f"module('Bookmarks').add_or_modify(JID.from_string({ORCHARD!r}), name={name!r})")
        garden.until(f"name_of_room({ORCHARD!r}) == {name!r}")
    garden.has_old_bookmark(ORCHARD, "Capulet's orchard")
    garden.do("add_old_bookmark('cell@rooms.example', 'Cell')")
    romeo.until("name_of_room('cell@rooms.example') == 'Cell'")
    assert romeo.do(f"name_of_room({ORCHARD!r})") == "Capulet's orchard"
    garden.do("module('Bookmarks').remove(JID.from_string('cell@rooms.example'))")
    romeo.until("name_of_room('cell@rooms.example') is None")


def converse(romeo, juliet, garden):
    open_chats(romeo, juliet)
    romeo.says("It is the east")
    juliet.hears("romeo@localhost", "It is the east")
    garden.hears("juliet@localhost", "It is the east")
    juliet.says("Ay me")
    for gajim in (romeo, garden):
        gajim.hears("juliet@localhost", "Ay me")


def come_back(server, romeo, juliet):
    """Who was away hears what was said, though the server was killed; who was there goes on by itself."""
    juliet.close()
    romeo.says("O speak again")
    romeo.until("is_acknowledged()")
    server.kill()
    server.start()
    juliet.start()
    juliet.is_there()
    juliet.hears("romeo@localhost", "O speak again")
    romeo.is_there()
    open_chats(romeo, juliet)
    juliet.says("Wherefore art thou")
    romeo.hears("juliet@localhost", "Wherefore art thou")


def main(binary):
    place = tempfile.mkdtemp(prefix="stonechat-desktop-")
    people = []

    def person(name, where):
        people.append(Gajim(os.path.join(place, where), name).start())
        return people[-1]

    try:
        with Server(binary) as server:
            server.user_add("romeo", "secret of romeo")
            server.user_add("juliet", "secret of juliet")
            romeo = person("romeo", "orchard").log_in(server, direct_tls=False)
            juliet = person("juliet", "balcony").log_in(server, direct_tls=True)
            garden = person("romeo", "garden").log_in(server, direct_tls=False)
            assert all(gajim.was_asked for gajim in people), "who said yes to the certificate?"
            meet(romeo, juliet)
            print("   the certificate trusted when asked, logged in, met: ok", flush=True)
            digest = show(romeo, juliet, garden, os.path.join(place, "avatar.png"))
            bookmark(romeo, garden)
            print("   avatars and bookmarks, new form and old: ok", flush=True)
            converse(romeo, juliet, garden)
            print("   OMEMO both ways, at both places: ok", flush=True)
            come_back(server, romeo, juliet)
            print("   OMEMO to who was away, the server killed meanwhile: ok", flush=True)
            before = romeo.do(f"len({DEVICES.format('juliet@localhost')})")
            window = person("juliet", "window").log_in(server, direct_tls=False)
            window.sees_avatar("romeo@localhost", digest)
            romeo.until(f"len({DEVICES.format('juliet@localhost')}) > {before}")
            open_chats(romeo, window)
            romeo.says("By yonder blessed moon")
            for gajim in (juliet, window):
                gajim.hears("romeo@localhost", "By yonder blessed moon")
            window.says("Swear not by the moon")
            romeo.hears("juliet@localhost", "Swear not by the moon")
            print("   an avatar and OMEMO at a device added later: ok", flush=True)
            garden.is_there()
            garden.has_old_bookmark(ORCHARD, "Capulet's orchard")
            garden.do("set_avatar(None)")
            for gajim in (juliet, window):
                gajim.until("contact('romeo@localhost').avatar_sha is None")
            print("   bookmarks after that, an avatar removed: ok", flush=True)
            for gajim in people:
                gajim.look(os.path.basename(gajim.home))
            for gajim in people:
                gajim.is_content()
            assert not server.logged("WARN") + server.logged("ERROR"), "the server complains"
            server.stop()
    finally:
        for gajim in people:
            gajim.end()
        shutil.rmtree(place, ignore_errors=True)


main(sys.argv[1])
