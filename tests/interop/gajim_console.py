"""Runs Gajim itself and, in its main loop, what desktop.py says: one line of JSON in (Python), one out (what it is).

What a person does is done by the code behind the buttons; what is seen is kept in `said`, `stanzas`.
usage: gajim_console.py ANSWERS GAJIM'S_ARGUMENTS... (ANSWERS: a file descriptor; what to do comes by standard input)"""
import json
import os
import sys
import traceback

os.geteuid = lambda: 1000  # it refuses to run as root, and machines that run tests know nobody else

from gi.repository import Gdk, GLib
from gajim.common import app, ged
from gajim.gtk.util import get_app_window, open_window
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.modules.user_avatar import Avatar
from nbxmpp.protocol import JID
from nbxmpp.simplexml import Node
from nbxmpp.structs import BookmarkData

answers = os.fdopen(int(sys.argv.pop(1)), "w", buffering=1)
stanzas = []  # as sent and received
found = []  # what old_bookmarks() asked for
invited = []  # the room, by whom
said = []  # messages as they are shown: who, text, how it was encrypted


def client():
    return next(iter(app.get_clients()))


def module(name):
    return client().get_module(name)


def contact(jid):
    return module("Contacts").get_contact(JID.from_string(jid))


def watch():
    """From here on stanzas and messages are kept."""
    def message(event):
        if event.msgtxt:
            sender = event.properties.jid if event.properties.type.is_groupchat else event.properties.jid.bare
            said.append((str(sender), event.msgtxt, event.additional_data.get_value("encrypted", "name")))
    for kind, mark in (("stanza-received", "S"), ("stanza-sent", "C")):
        app.ged.register_event_handler(kind, ged.PREGUI, lambda event, mark=mark: stanzas.append([mark, str(event.stanza)]))
    for kind in ("message-received", "gc-message-received", "mam-message-received"):
        app.ged.register_event_handler(kind, ged.POSTGUI, message)
    app.ged.register_event_handler("muc-invitation", ged.POSTGUI, lambda event: invited.append([str(event.muc), str(event.from_)]))


def log_in(name, domain, port, direct_tls):
    kind = ConnectionType.DIRECT_TLS if direct_tls else ConnectionType.START_TLS
    app.settings.set("use_keyring", False)
    app.app.create_account(name, name, domain, f"secret of {name}", None,
                           (f"127.0.0.1:{port}", ConnectionProtocol.TCP, kind))
    app.app.enable_account(name)
    get_app_window("AccountWizard").destroy()  # which does the same


def trust():
    """Says yes to the certificate, as the dialog that asks for it is answered. True if it did ask."""
    dialog = get_app_window("SSLErrorDialog")
    if dialog is None:
        return False
    dialog._ui.add_certificate_checkbutton.set_active(True)
    dialog._ui.connect_button.clicked()
    return True


def set_avatar(path):
    """None: no more."""
    avatar = None
    if path is not None:
        avatar = Avatar()
        with open(path, "rb") as file:
            avatar.add_image_source(file.read(), "image/png", 64, 64)
    module("UserAvatar").set_avatar(avatar, public=False)


def name_of_room(jid):
    bookmark = module("Bookmarks").get_bookmark(JID.from_string(jid))
    return bookmark and bookmark.name


def open_chat(jid, encryption):
    contact(jid).settings.set("encryption", encryption)
    app.window.add_chat(client().account, JID.from_string(jid), "contact", select=True)


def type_and_send(text):
    """In the open chat."""
    app.window.get_chat_stack().get_message_action_box().msg_textview.get_buffer().set_text(text)
    app.window.activate_action("send-message", None)


def make_room(name, description, public):
    """By the window for it, which looks for the service and takes an address at random."""
    open_window("CreateGroupchatWindow", account=client().account)
    window = get_app_window("CreateGroupchatWindow")
    window._ui.name_entry.set_text(name)
    window._ui.description_entry.set_text(description)
    window._ui.public_radio.set_active(public)
    window._on_create_clicked(None)


def rooms():
    """Address to state."""
    return {str(jid): room.state.name for jid, room in module("MUC")._mucs.items()}


def open_room(jid):
    """As by its invitation."""
    app.window.show_add_join_groupchat(client().account, jid)


def says_encrypted(jid):
    contact(jid).settings.set("encryption", "OMEMO")
    app.window.select_chat(client().account, JID.from_string(jid))


def old_bookmarks():
    """Asks for them in the form of XEP-0049; they come into `found`."""
    found.clear()
    client().connection.get_module("PrivateBookmarks").request_bookmarks(callback=found_bookmarks)


def found_bookmarks(task):
    found[:] = [[str(bookmark.jid), bookmark.name] for bookmark in task.finish()]


def add_old_bookmark(jid, name):
    """As a client does that knows no other form: all of them anew."""
    bookmarks = [*module("Bookmarks").bookmarks, BookmarkData(jid=JID.from_string(jid), name=name, autojoin=False)]
    client().connection.get_module("PrivateBookmarks").store_bookmarks(bookmarks)


def exception():
    """What it shows instead of going on, or None."""
    dialog = get_app_window("ExceptionDialog")
    return dialog and dialog._issue_text


def requests():
    """Each that was sent, with its answer or None."""
    nodes = [(mark, Node(node=text)) for mark, text in stanzas if text.startswith("<iq")]
    answered = {node.getAttr("id"): node for mark, node in nodes if mark == "S" and node.getAttr("type") in ("result", "error")}
    return [(node, answered.get(node.getAttr("id"))) for mark, node in nodes
            if mark == "C" and node.getAttr("type") in ("get", "set")]


def is_answered():
    return all(answer is not None or "/" in (request.getAttr("to") or "") for request, answer in requests())


def is_acknowledged():
    """Everything it sent (XEP-0198)."""
    return not client().connection._smacks._uqueue


def refusals():
    """What the server answered with an error (not somebody's client): the request, the condition."""
    return [[str(request), answer.getTag("error").getChildren()[0].getName()] for request, answer in requests()
            if answer is not None and answer.getAttr("type") == "error" and "/" not in (request.getAttr("to") or "")]


def picture(path):
    """What its window shows."""
    window = app.window.get_window()
    Gdk.pixbuf_get_from_window(window, 0, 0, window.get_width(), window.get_height()).savev(path, "png", [], [])


def obey(_descriptor, _condition):
    line = sys.stdin.readline()
    if not line:
        return False
    try:
        answers.write(json.dumps({"value": eval(json.loads(line))}, default=str) + "\n")
    except Exception:
        answers.write(json.dumps({"error": traceback.format_exc()}) + "\n")
    return True


GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, sys.stdin.fileno(), GLib.IOCondition.IN | GLib.IOCondition.HUP, obey)
from gajim.gajim import main

main()
