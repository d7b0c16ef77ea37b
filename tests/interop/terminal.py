"""A terminal of its own for a program that needs one."""
import os
import shutil
import subprocess
import tempfile
import time


class Terminal:
    """The program under tmux, with a home directory of its own, which may be made ready."""

    def __init__(self, certificate, program="profanity", make_ready=lambda home: None):
        self.program = program
        self.home = tempfile.mkdtemp(prefix=f"stonechat-{program}-")
        make_ready(self.home)
        self.session = os.path.basename(self.home)
        env = dict(os.environ, HOME=self.home, XDG_CONFIG_HOME=os.path.join(self.home, "config"),
                   XDG_DATA_HOME=os.path.join(self.home, "data"), SSL_CERT_FILE=certificate, TERM="screen")
        subprocess.run(["tmux", "-L", self.session, "new-session", "-d", "-s", self.session, "-x", "140", "-y", "40",
                        program], env=env, check=True)

    def type(self, text):
        subprocess.run(["tmux", "-L", self.session, "send-keys", "-t", self.session, "-l", text], check=True)
        self.press("Enter")

    def press(self, key):
        subprocess.run(["tmux", "-L", self.session, "send-keys", "-t", self.session, key], check=True)

    def screen(self):
        shown = subprocess.run(["tmux", "-L", self.session, "capture-pane", "-p", "-t", self.session],
                               capture_output=True, text=True)
        return shown.stdout

    def wait_for(self, text, seconds=20):
        for _ in range(seconds * 5):
            if text in self.screen():
                return
            time.sleep(0.2)
        raise SystemExit(f"{self.program} never showed {text!r}:\n{self.screen()}")

    def close(self):
        subprocess.run(["tmux", "-L", self.session, "kill-server"], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)
