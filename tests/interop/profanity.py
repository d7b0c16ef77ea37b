"""profanity in a terminal of its own hears go-sendxmpp, also across a broken network: it resumes (XEP-0198). TLS verified.

usage: profanity.py BINARY"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from network import Network
from server import Server


class Terminal:
    """profanity under tmux, with a home directory of its own."""

    def __init__(self, certificate):
        self.home = tempfile.mkdtemp(prefix="stonechat-profanity-")
        self.session = f"stonechat-{os.getpid()}"
        env = dict(os.environ, HOME=self.home, XDG_CONFIG_HOME=os.path.join(self.home, "config"),
                   XDG_DATA_HOME=os.path.join(self.home, "data"), SSL_CERT_FILE=certificate, TERM="screen")
        subprocess.run(["tmux", "-L", self.session, "new-session", "-d", "-s", self.session, "-x", "140", "-y", "40",
                        "profanity"], env=env, check=True)

    def type(self, text):
        subprocess.run(["tmux", "-L", self.session, "send-keys", "-t", self.session, "-l", text], check=True)
        subprocess.run(["tmux", "-L", self.session, "send-keys", "-t", self.session, "Enter"], check=True)

    def screen(self):
        shown = subprocess.run(["tmux", "-L", self.session, "capture-pane", "-p", "-t", self.session],
                               capture_output=True, text=True)
        return shown.stdout

    def wait_for(self, text, seconds=20):
        for _ in range(seconds * 5):
            if text in self.screen():
                return
            time.sleep(0.2)
        raise SystemExit(f"profanity never showed {text!r}:\n{self.screen()}")

    def close(self):
        subprocess.run(["tmux", "-L", self.session, "kill-server"], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)


def send(server, text):
    """go-sendxmpp as romeo, over direct TLS."""
    subprocess.run(["go-sendxmpp", "-u", "romeo@localhost", "-p", "secret of romeo", "-j",
                    f"localhost:{server.tls_port}", "-t", "juliet@localhost"],
                   input=text, text=True, check=True, timeout=30, env=dict(os.environ, SSL_CERT_FILE=server.certificate))


def converse(server, network, terminal):
    terminal.wait_for("Profanity")
    terminal.type("/reconnect 1")
    terminal.type(f"/connect juliet@localhost server 127.0.0.1 port {network.port} tls force")
    terminal.wait_for("password")
    terminal.type("secret of juliet")
    terminal.wait_for("logged in successfully")
    terminal.type("/win 2")
    terminal.wait_for("sent while you were away")
    send(server, "sent while you are here")
    terminal.wait_for("sent while you are here")
    network.break_off()
    send(server, "sent while you were cut off")
    network.mend()
    terminal.wait_for("sent while you were cut off")
    send(server, "sent when you were back")
    terminal.wait_for("sent when you were back")
    shown = terminal.screen()
    for text in ("were away", "are here", "were cut off", "were back"):
        assert shown.count(text) == 1, f"not once: {text!r}\n{shown}"
    resumed = [line for line in server.logged("session.resumed") if "jid=juliet@localhost/" in line]
    assert len(resumed) == 1, "profanity did not resume its session"


def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        send(server, "sent while you were away")
        network = Network(server.port)
        terminal = Terminal(server.certificate)
        try:
            converse(server, network, terminal)
            terminal.type("/quit")
        finally:
            terminal.close()
            network.close()
        server.stop()
    print("   go-sendxmpp to profanity, away, there, cut off and resumed: ok")


main(sys.argv[1])
