"""An account that moved: xmpp.js, which obeys `see-other-host`, comes to it; a client that does not is let in where it came.

usage: moved.py BINARY"""
import os
import shutil
import subprocess
import sys

from bare import Client as Bare
from server import Server


def come(server):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "moved.mjs")
    subprocess.run(["node", script, server.domain, str(server.port), "romeo", "secret"],
                   check=True, timeout=60, env=dict(os.environ, NODE_EXTRA_CA_CERTS=server.certificate))


def main(binary):
    here, there = servers = [Server(binary) for _ in range(2)]
    with here:
        # One certificate for both.
        for name in ("cert.pem", "key.pem"):
            shutil.copy(os.path.join(here.data, name), os.path.join(there.data, name))
        with there:
            for server in servers:
                server.user_add("romeo", "secret")
            token = here.token_add("romeo", "--name", "bare")

            def operate(*words, refused=False):
                done = subprocess.run([here.binary, *words, "--data", here.data], capture_output=True, text=True, check=False)
                assert (done.returncode != 0) == refused, done
                return done.stdout + done.stderr

            assert "certificate" in operate("user", "move", "romeo", "elsewhere.example", refused=True)
            assert "place to go" in operate("drain", "localhost:", refused=True)
            operate("user", "move", "romeo", f"localhost:{there.port}")
            come(here)
            assert there.logged("login.ok") and not here.logged("login.ok"), "logged in at the wrong place"
            # Told within a minute, so it may stay.
            Bare(here, token, "b")
            assert here.logged("login.ok", "mechanism=OAUTHBEARER")
            operate("user", "move", "romeo", "here")
            for server in servers:
                server.stop()
    print("who obeys a redirect comes to where the account is, who does not is served")


main(sys.argv[1])
