"""Gajim with its window makes rooms: a private group as its dialog makes it, somebody invited, OMEMO in it, also to who was away
while the server was killed; and a public room with a subject. No errors in its log, nothing refused.

usage: rooms_desktop.py BINARY (SCREENSHOTS=DIRECTORY keeps pictures of the windows)"""
import os
import shutil
import sys
import tempfile

from occupant import SERVICE
from server import Server
from windows import Gajim, meet


def make(gajim, name, public):
    """Its address. It is in when the room has been configured and looked at."""
    before = gajim.do("list(rooms())")
    gajim.do(f"make_room({name!r}, 'a room of Gajim', {public})")
    room = gajim.until(f"[room for room, state in rooms().items() if state == 'JOINED' and room not in {before}]")[0]
    assert room.endswith(f"@{SERVICE}"), room
    return room


def private(romeo, juliet):
    """Encryption is offered; who is invited becomes a member and comes in."""
    room = make(romeo, "Verona", False)
    info = f"contact({room!r}).get_disco()"
    assert romeo.do(f"[{info}.muc_is_members_only, {info}.muc_is_nonanonymous, {info}.muc_is_hidden, {info}.muc_is_persistent, "
                    f"{info}.has_mam_2, {info}.muc_name, {info}.muc_description]") == [True] * 5 + ["Verona", "a room of Gajim"]
    romeo.do(f"str(module('MUC').invite(JID.from_string({room!r}), 'juliet@localhost'))")
    juliet.until(f"{[room, 'romeo@localhost']!r} in [[room, who.split('/')[0]] for room, who in invited]")
    juliet.do(f"open_room({room!r})")
    juliet.until(f"rooms().get({room!r}) == 'JOINED'")
    romeo.until(f"contact({room!r}).get_resource('juliet').is_available")
    romeo.until(f"str(contact({room!r}).get_resource('juliet').real_jid).startswith('juliet@localhost')")
    return room


def converse(romeo, juliet, room):
    for gajim in (romeo, juliet):
        gajim.do(f"says_encrypted({room!r})")
    for gajim, other in ((romeo, "juliet"), (juliet, "romeo")):
        gajim.until(f"module('OMEMO').backend.get_devices('{other}@localhost', without_self=True) and "
                    f"not module('OMEMO').backend.devices_without_sessions('{other}@localhost')")
    for speaker, listener, name, text in ((romeo, juliet, "romeo", "In fair Verona"), (juliet, romeo, "juliet", "where we lay our scene")):
        speaker.says(text)
        listener.hears(f"{room}/{name}", text)


def come_back(server, romeo, juliet, room):
    """It joins again by itself: the room is bookmarked; and finds in the archive what it missed."""
    juliet.close()
    romeo.says("Two households")
    romeo.until("is_acknowledged()")
    server.kill()
    server.start()
    juliet.start()
    juliet.is_there()
    juliet.until(f"rooms().get({room!r}) == 'JOINED'")
    juliet.hears(f"{room}/romeo", "Two households")
    romeo.is_there()
    romeo.until(f"rooms().get({room!r}) == 'JOINED'")
    juliet.do(f"says_encrypted({room!r})")
    juliet.says("both alike in dignity")
    romeo.hears(f"{room}/juliet", "both alike in dignity")


def public(romeo, juliet):
    room = make(romeo, "The street", True)
    juliet.do(f"open_room({room!r})")
    juliet.until(f"rooms().get({room!r}) == 'JOINED'")
    info = f"contact({room!r}).get_disco()"
    assert juliet.do(f"[{info}.muc_is_public, {info}.muc_is_open, {info}.muc_is_semianonymous, {info}.muc_name]") == [True] * 3 + ["The street"]
    romeo.do(f"module('MUC').set_subject(JID.from_string({room!r}), 'Do you bite your thumb?')")
    juliet.until(f"module('MUC')._mucs[{room!r}].subject.text == 'Do you bite your thumb?'")
    juliet.do(f"module('MUC').change_nick(JID.from_string({room!r}), 'capulet')")
    romeo.until(f"contact({room!r}).get_resource('capulet').is_available")
    romeo.do(f"str(module('MUC').set_role(JID.from_string({room!r}), 'capulet', 'none', 'Peace'))")
    juliet.until(f"rooms().get({room!r}) == 'NOT_JOINED'")


def main(binary):
    place = tempfile.mkdtemp(prefix="stonechat-desktop-")
    people = []
    try:
        with Server(binary) as server:
            for name in ("romeo", "juliet"):
                server.user_add(name, f"secret of {name}")
                people.append(Gajim(os.path.join(place, name), name).start().log_in(server, direct_tls=False))
            romeo, juliet = people
            meet(romeo, juliet)
            romeo.until("module('MUC').supported")
            room = private(romeo, juliet)
            print("   a private group made, somebody invited: ok", flush=True)
            converse(romeo, juliet, room)
            print("   OMEMO in it: ok", flush=True)
            come_back(server, romeo, juliet, room)
            print("   OMEMO to who was away, the server killed meanwhile: ok", flush=True)
            public(romeo, juliet)
            print("   a public room, a subject, a nick, a kick: ok", flush=True)
            for gajim in people:
                gajim.look(os.path.basename(gajim.home))
                gajim.is_content()
            server.stop()
    finally:
        for gajim in people:
            gajim.end()
        shutil.rmtree(place, ignore_errors=True)


main(sys.argv[1])
