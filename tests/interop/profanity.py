"""profanity in a terminal of its own hears go-sendxmpp, also across a broken network: it resumes (XEP-0198). TLS verified.

usage: profanity.py BINARY"""
import os
import subprocess
import sys

from network import Network
from server import Server
from terminal import Terminal


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
