"""Starts the server for xmppjs.mjs: @xmpp/client (npm) under Node, certificate verified.

usage: xmppjs.py BINARY"""
import os
import subprocess
import sys

from server import Server


def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "xmppjs.mjs")
        subprocess.run(["node", script, server.domain, str(server.port), str(server.tls_port), server.log],
                       check=True, timeout=60, env=dict(os.environ, NODE_EXTRA_CA_CERTS=server.certificate))
        server.stop()


main(sys.argv[1])
