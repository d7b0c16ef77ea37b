"""Starts and stops the server under test, and drives its command line."""
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile

# Out of time: leave by way of __exit__, so that nothing is left running.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))


class Server:
    """One server with a data directory of its own."""

    def __init__(self, binary, domain="localhost", components=(), settings=""):
        self.binary = os.path.abspath(binary)
        self.domain = domain
        self.components = components  # "NAME SECRET" each
        self.settings = settings  # lines of its file
        self.data = tempfile.mkdtemp(prefix="stonechat-interop-")
        self.process = None
        self.environment = None
        self.port = self.tls_port = None
        self.component_port = 0

    def start(self, c2s="127.0.0.1:0", c2s_tls="127.0.0.1:0"):
        if self.port:  # a restart keeps its ports, as a real server does
            c2s, c2s_tls = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.tls_port}"
        if self.components or self.settings:
            with open(os.path.join(self.data, "stonechat.toml"), "w", encoding="utf-8") as file:
                print(self.settings, file=file)
                print(f"component = {json.dumps(list(self.components))}", file=file)
                print(f'component_addresses = "127.0.0.1:{self.component_port}"', file=file)
        self.process = subprocess.Popen(
            [self.binary, "--data", self.data, "--domain", self.domain, "--c2s", c2s, "--c2s-tls", c2s_tls],
            stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True, env=self.environment)
        ports, seen = [], ""
        for line in self.process.stdout:
            seen += line
            ports += [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line)]
            if line.split()[:1] == ["certificate"]:  # named behind all ports
                break
        assert len(ports) >= 2, f"no addresses printed: {seen}"
        self.port, self.tls_port = ports[:2]
        self.component_port = (ports + [0])[2]
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        assert code == 0, f"exit code {code} after SIGTERM"

    def user_add(self, name, password):
        subprocess.run([self.binary, "user", "add", name, "--data", self.data],
                       input=password + "\n", text=True, check=True, stdout=subprocess.DEVNULL)

    def token_add(self, name, *options):
        """The token, which is shown this once."""
        shown = subprocess.run([self.binary, "token", "add", name, *options, "--data", self.data],
                               text=True, check=True, stdout=subprocess.PIPE).stdout
        return re.search(r"^token (\S+)$", shown, re.MULTILINE).group(1)

    @property
    def log(self):
        """Its log is in this file, one line an event, written before the answer leaves."""
        return os.path.join(self.data, "log")

    def logged(self, *words):
        """The lines of the log that have all these words."""
        with open(self.log, encoding="utf-8") as lines:
            return [line.strip() for line in lines if all(word in line.split() for word in words)]

    @property
    def certificate(self):
        return os.path.join(self.data, "cert.pem")

    def tls_context(self):
        """Verifies: the printed certificate is the only one trusted, and it must name the domain."""
        context = ssl.create_default_context(cafile=self.certificate)
        assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
        return context

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(open(self.log, encoding="utf-8").read()[-4000:])
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)
