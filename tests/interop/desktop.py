"""Gajim with its window (under Xvfb) and the OMEMO plug-in, three of it: romeo at two places, juliet at one.

Each trusts the server's certificate when asked for it; an avatar set by one is shown by the other; a room bookmarked at one
place is at the other, in its old form too; OMEMO messages both ways, to who is offline, to a device added later, to who
starts Gajim anew, with the server killed in between. No errors in their logs, none in answers but for nodes not there yet.
usage: desktop.py BINARY (SCREENSHOTS=DIRECTORY keeps pictures of the windows)"""
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from server import Server

SECONDS_MAX = 30
# Errors in the log that are not the server's doing: no desktop around it; and it looks for the server where DNS says
# (before it thinks of the address it was given, once the certificate is trusted) and while there is none.
NOT_HERE = re.compile(r"gajim\.c\.dbus|Unable to connect to|Could not connect to")

DEVICES = "module('OMEMO').backend.get_devices('{}', without_self=True)"


class Display:
    """An X server of its own."""

    def __init__(self):
        reader, writer = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
                                        pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as number:
            self.name = ":" + number.readline().strip()

    def close(self):
        self.process.terminate()
        self.process.wait()


class Gajim:
    """One Gajim with a home directory of its own, which stays when it is closed, and a screen of its own."""

    def __init__(self, home, name):
        self.home, self.name = home, name
        self.display = Display()
        self.process = None
        os.makedirs(os.path.join(self.home, "run"), mode=0o700)

    def start(self):
        reader, writer = os.pipe()
        env = dict(os.environ, HOME=self.home, DISPLAY=self.display.name, XDG_RUNTIME_DIR=os.path.join(self.home, "run"),
                   GSETTINGS_BACKEND="memory", LANG="C.UTF-8", NO_AT_BRIDGE="1")
        for kind in ("CONFIG", "DATA", "CACHE"):
            env[f"XDG_{kind}_HOME"] = os.path.join(self.home, kind.lower())
        self.process = subprocess.Popen(
            ["dbus-run-session", "--", "/usr/bin/python3", "-P", "gajim_console.py", str(writer), "-l", "INFO"],
            env=env, stdin=subprocess.PIPE, stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, pass_fds=[writer], text=True)
        os.close(writer)
        self.answers = os.fdopen(reader)
        self.until("app.window is not None")
        self.do("watch()")
        return self

    @property
    def log(self):
        return os.path.join(self.home, "log")

    def do(self, code):
        print(json.dumps(code), file=self.process.stdin, flush=True)
        answer = json.loads(self.answers.readline() or '{"error": "Gajim is gone"}')
        if "error" in answer:
            raise SystemExit(f"{self.home}: {code}: {answer['error']}")
        return answer["value"]

    def until(self, code):
        """Asks until it is so, and returns what it is."""
        end = time.monotonic() + SECONDS_MAX
        while True:
            value = self.do(code)
            if value:
                return value
            if time.monotonic() > end:
                raise SystemExit(f"{self.home}: never {code}\n" + "\n".join(map(str, self.do("stanzas[-12:]"))))
            time.sleep(0.1)

    def log_in(self, server, direct_tls):
        port = server.tls_port if direct_tls else server.port
        self.until("get_app_window('AccountWizard')")
        self.do(f"log_in({self.name!r}, {server.domain!r}, {port}, {direct_tls})")
        self.until("trust()")
        self.is_there()
        return self

    def is_there(self):
        self.until("client().state.is_available")

    def hears(self, who, text):
        assert [who, text, "OMEMO"] in self.until(f"[m for m in said if m[1] == {text!r}]")

    def sees_avatar(self, who, digest):
        self.until(f"contact({who!r}).avatar_sha == {digest!r} and app.app.avatar_storage.avatar_exists({digest!r})")

    def says(self, text):
        self.do(f"type_and_send({text!r})")

    def look(self, name):
        if "SCREENSHOTS" in os.environ:
            self.do(f"picture({os.path.join(os.environ['SCREENSHOTS'], name + '.png')!r})")

    def is_content(self):
        """No errors in its log; whatever it asked was answered, and nothing refused but nodes that are not there yet."""
        self.until("is_answered()")
        for request, condition in self.do("refusals()"):
            assert condition == "item-not-found" and "<items " in request, f"{condition}: {request}"
        with open(self.log, encoding="utf-8") as lines:
            wrong = [line for line in lines if re.search(r"\(E\)|\(C\)|Traceback", line) and not NOT_HERE.search(line)]
        assert not wrong, "".join(wrong)

    def close(self):
        if self.process and self.process.poll() is None:
            self.do("app.app.start_shutdown(message='')")
            self.process.wait(timeout=10)
            self.answers.close()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.display.close()


def png(size):
    """A picture of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\xd0\x30\x60" * size) * size
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def meet(romeo, juliet):
    """Both see each other's presence."""
    romeo.do("module('Presence').subscribe('juliet@localhost', name='Juliet', auto_auth=True)")
    juliet.until("any(m == 'S' and \"type=\\\"subscribe\\\"\" in s for m, s in stanzas)")
    juliet.do("module('Presence').subscribed('romeo@localhost')")
    juliet.do("module('Presence').subscribe('romeo@localhost', name='Romeo')")
    for gajim, other in ((romeo, "juliet"), (juliet, "romeo")):
        gajim.until(f"contact('{other}@localhost').subscription == 'both' and contact('{other}@localhost').is_available")


def share(romeo, juliet, garden, picture):
    """An avatar for others, a bookmark for oneself."""
    with open(picture, "wb") as file:
        file.write(png(64))
    digest = hashlib.sha1(png(64)).hexdigest()
    romeo.do(f"set_avatar({picture!r})")
    juliet.sees_avatar("romeo@localhost", digest)
    garden.sees_avatar("romeo@localhost", digest)
    assert romeo.do("module('Bookmarks').nativ_bookmarks_used"), "it does not believe in XEP-0402 here"
    room = "JID.from_string('orchard@rooms.example')"
    romeo.do(f"module('Bookmarks').add_or_modify({room}, name='Orchard', autojoin=False)")
    assert garden.until(f"module('Bookmarks').get_bookmark({room})")[1] == "Orchard"
    garden.do("old_bookmarks()")
    garden.until("'orchard@rooms.example' in found")
    return digest


def open_chats(romeo, juliet):
    """With the keys of all the other's devices."""
    for gajim, other in ((romeo, "juliet@localhost"), (juliet, "romeo@localhost")):
        gajim.do(f"open_chat({other!r}, 'OMEMO')")
        gajim.until(f"{DEVICES.format(other)} and not module('OMEMO').backend.devices_without_sessions({other!r})")


def converse(romeo, juliet, garden):
    open_chats(romeo, juliet)
    romeo.says("It is the east")
    juliet.hears("romeo@localhost", "It is the east")
    garden.hears("juliet@localhost", "It is the east")
    juliet.says("Ay me")
    for gajim in (romeo, garden):
        gajim.hears("juliet@localhost", "Ay me")


def come_back(server, romeo, juliet, digest):
    """Who was away hears what was said, though the server was killed; who was there goes on by itself."""
    juliet.close()
    romeo.says("O speak again")
    romeo.until("is_acknowledged()")
    server.kill()
    server.start()
    juliet.start()
    juliet.is_there()
    juliet.hears("romeo@localhost", "O speak again")
    juliet.sees_avatar("romeo@localhost", digest)
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
            meet(romeo, juliet)
            print("   the certificate trusted when asked, logged in, met: ok", flush=True)
            digest = share(romeo, juliet, garden, os.path.join(place, "avatar.png"))
            print("   avatars and bookmarks, new form and old: ok", flush=True)
            converse(romeo, juliet, garden)
            print("   OMEMO both ways, at both places: ok", flush=True)
            come_back(server, romeo, juliet, digest)
            print("   OMEMO to who was away, the server killed meanwhile: ok", flush=True)
            before = romeo.do(f"len({DEVICES.format('juliet@localhost')})")
            window = person("juliet", "window").log_in(server, direct_tls=False)
            romeo.until(f"len({DEVICES.format('juliet@localhost')}) > {before}")
            open_chats(romeo, window)
            romeo.says("By yonder blessed moon")
            for gajim in (juliet, window):
                gajim.hears("romeo@localhost", "By yonder blessed moon")
            window.says("Swear not by the moon")
            romeo.hears("juliet@localhost", "Swear not by the moon")
            print("   OMEMO with a device added later: ok", flush=True)
            for gajim in people:
                gajim.look(os.path.basename(gajim.home))
            for gajim in people:
                gajim.is_content()
            server.stop()
    finally:
        for gajim in people:
            gajim.end()
        shutil.rmtree(place, ignore_errors=True)


main(sys.argv[1])
