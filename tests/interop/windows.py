"""Clients with windows: a screen for each (Xvfb), Gajim and Dino at it, and what two people do first.

A home directory stays when its client is closed, as at home. SCREENSHOTS=DIRECTORY keeps pictures of the windows."""
import json
import os
import re
import signal
import sqlite3
import struct
import subprocess
import time
import zlib

SECONDS_MAX = 30
# Errors in Gajim's log that are not the server's doing: no desktop around it; and it looks for the server where DNS says
# (before it thinks of the address it was given, once the certificate is trusted) and while there is none; it writes to a server
# that is being killed, and one that was killed knows no session of before and may say so without a number (XEP-0198 §5); a request
# that the other answered, but did not acknowledge before it went, comes back as well.
NOT_HERE = re.compile(r"gajim\.c\.dbus|unknown id: Error from .*: recipient-unavailable|did not send h attribute|Unable to connect to|Could not connect to|(Write|Read) Error:")
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
                raise SystemExit("\n".join([f"{self.home}: never {code}", *map(str, self.do("stanzas[-12:]")), self.printed()[-3000:]]))
            time.sleep(0.1)

    def printed(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def log_in(self, server, direct_tls):
        port = server.tls_port if direct_tls else server.port
        self.until("get_app_window('AccountWizard')")
        self.do(f"log_in({self.name!r}, {server.domain!r}, {port}, {direct_tls})")
        self.was_asked = self.until("'yes' if trust() else client().state.is_available and 'no'") == "yes"
        self.is_there()
        return self

    def is_there(self):
        self.until("client().state.is_available")

    def hears(self, who, text):
        assert [who, text, "OMEMO"] in self.until(f"[m for m in said if m[1] == {text!r}]")

    def sees_avatar(self, who, digest):
        self.until(f"contact({who!r}).avatar_sha == {digest!r} and app.app.avatar_storage.avatar_exists({digest!r})")

    def has_old_bookmark(self, jid, name):
        self.do("old_bookmarks()")
        self.until(f"{[jid, name]!r} in found")

    def says(self, text):
        self.do(f"type_and_send({text!r})")

    def look(self, name):
        if "SCREENSHOTS" in os.environ:
            self.do(f"picture({os.path.join(os.environ['SCREENSHOTS'], name + '.png')!r})")

    def is_content(self):
        """No errors in its log; whatever it asked was answered, and nothing refused but what nodes and rooms do not have yet."""
        self.until("is_answered()")
        for request, condition in self.do("refusals()"):
            assert condition == "item-not-found" and re.search('<items | to="[^"/]+@chat', request), f"{condition}: {request}"
        assert self.do("exception()") is None, self.do("exception()")
        wrong = [line for line in self.printed().splitlines(True) if re.search(r"\(E\)|\(C\)|Traceback", line) and not NOT_HERE.search(line)]
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


class Dino:
    """Dino as its owner has it: an account and one open chat in its database, a keyboard, and a log of all its XML.

    It knows no addresses but what DNS says, and no certificates but the system's: see dino.py."""

    def __init__(self, home, name, other, room=False):
        """In a room it speaks in the clear: OMEMO is for chats with one."""
        self.home, self.name, self.other = home, name, other
        self.kind, self.encryption = (1, 0) if room else (0, 2)
        self.display = Display()
        self.process = None
        os.makedirs(os.path.join(home, "run"), mode=0o700)

    def launch(self):
        env = dict(os.environ, HOME=self.home, DISPLAY=self.display.name, XDG_RUNTIME_DIR=os.path.join(self.home, "run"),
                   GSETTINGS_BACKEND="memory", GSK_RENDERER="cairo", LANG="C.UTF-8", GTK_A11Y="none")
        for kind in ("CONFIG", "DATA", "CACHE"):
            env[f"XDG_{kind}_HOME"] = os.path.join(self.home, kind.lower())
        self.process = subprocess.Popen(["dbus-run-session", "--", "dino-im", "--print-xmpp=all"], env=env,
                                        stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, start_new_session=True)

    def start(self):
        if not os.path.exists(self.database):
            self.launch()  # it makes its database
            self.until("select 1 from sqlite_master where name = 'entity_feature'")
            self.close()
            here = sqlite3.connect(self.database)
            here.execute("insert into account (id, bare_jid, resourcepart, password, alias, enabled, mam_earliest_synced) "
                         "values (1, ?, 'dino', ?, '', 1, 0)", (f"{self.name}@localhost", f"secret of {self.name}"))
            here.execute("insert into jid (id, bare_jid) values (1, ?)", (self.other,))
            here.execute("insert into conversation (account_id, jid_id, active, active_last_changed, last_active, type, "
                         "encryption, notification, send_typing, send_marker) values (1, 1, 1, 1, 1, ?, ?, 0, 0, 0)", (self.kind, self.encryption))
            here.commit()
            here.close()
        self.launch()
        return self

    @property
    def log(self):
        return os.path.join(self.home, "log")

    @property
    def database(self):
        return os.path.join(self.home, "data", "dino", "dino.db")

    def until(self, query, *values):
        """Asks its database until it answers with a row."""
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            try:
                with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5) as here:
                    row = here.execute(query, values).fetchone()
                if row:
                    return row
            except sqlite3.OperationalError:
                pass  # not yet
            time.sleep(0.1)
        raise SystemExit(f"{self.home}: never {query} {values}\n{self.printed()[-3000:]}")

    def hears(self, text):
        """Encryption 2 is OMEMO; its body is in the clear here and nowhere else."""
        self.until("select 1 from message where body = ? and direction = 0 and encryption = ?", text, self.encryption)

    def says(self, text):
        """Typed, and known to be under way."""
        self.key("key", "ctrl+a", "BackSpace")
        self.key("type", text)
        self.key("key", "Return")
        self.until("select 1 from message where body = ? and direction = 1 and encryption = ?", text, self.encryption)

    def key(self, *words):
        subprocess.run(["xdotool", *words], env=dict(os.environ, DISPLAY=self.display.name), check=True)

    def look(self, name):
        if "SCREENSHOTS" in os.environ:
            subprocess.run(["import", "-display", self.display.name, "-window", "root",
                            os.path.join(os.environ["SCREENSHOTS"], name + ".png")], check=True)

    def printed(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return re.sub(r"\x1b\[[0-9;]*m", "", file.read())

    def requests(self):
        """Each as it was printed, with its answer or None."""
        asked, answers = {}, {}
        for way, xml in re.findall(r"^XMPP (OUT|IN) \[.*\]\n(<\{jabber:client\}:iq .*(?:\n .*)*)", self.printed(), re.MULTILINE):
            kind, name = (re.search(rf"\}}:{what}='([^']*)'", xml).group(1) for what in ("type", "id"))
            if way == "OUT" and kind in ("get", "set"):
                asked[name] = xml
            elif way == "IN" and kind in ("result", "error"):
                answers[name] = xml
        return [(xml, answers.get(name)) for name, xml in asked.items()]

    def until_done(self, *words):
        """Until a request with these words had a result."""
        end = time.monotonic() + SECONDS_MAX
        while not any(answer and "}:type='result'" in answer and all(word in request for word in words)
                      for request, answer in self.requests()):
            if time.monotonic() > end:
                raise SystemExit(f"{self.home}: never done: {words}\n{self.printed()[-3000:]}")
            time.sleep(0.1)

    def refusals(self):
        """What the server answered with an error (not somebody's client): the request, the condition."""
        return [(request, re.search(r"xmpp-stanzas\}:([\w-]+)", answer).group(1)) for request, answer in self.requests()
                if answer and "}:type='error'" in answer and not re.search(r"\}:to='[^']*/", request)]

    def close(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=10)

    def end(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
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


def open_chats(romeo, juliet):
    """With the keys of all the other's devices."""
    for gajim, other in ((romeo, "juliet@localhost"), (juliet, "romeo@localhost")):
        gajim.do(f"open_chat({other!r}, 'OMEMO')")
        gajim.until(f"{DEVICES.format(other)} and not module('OMEMO').backend.devices_without_sessions({other!r})")
