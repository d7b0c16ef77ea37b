"""A client that is a socket: it says what it is told to say, and looks for patterns in what comes."""
import base64
import re
import socket
import time

HEADER = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
          "to='localhost'>")


class Client:
    def __init__(self, server, token, resource):
        self.connect(server)
        self.send(HEADER)
        self.authenticate(token, resource)
        self.hear("<success.*?</stream:features>")
        self.send("<presence/>")
        self.ping()

    @classmethod
    def arrive(cls, server):
        """One that has seen what it may do, and asked for nothing yet."""
        client = cls.__new__(cls)
        client.connect(server)
        client.send(HEADER)
        client.hear("<stream:features>.*</stream:features>")
        return client

    def connect(self, server):
        raw = socket.create_connection(("127.0.0.1", server.tls_port))
        self.socket = server.tls_context().wrap_socket(raw, server_hostname="localhost")
        self.seen, self.count = "", 0

    def authenticate(self, token, resource):
        proof = base64.b64encode(f"n,,\1auth=Bearer {token}\1\1".encode()).decode()
        self.send(f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='OAUTHBEARER'><initial-response>{proof}"
                  f"</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>{resource}</tag></bind></authenticate>")

    def send(self, text):
        self.socket.sendall(text.encode())

    def hear(self, pattern, seconds=10):
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            self.socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                data = b""
            assert data, f"no {pattern}: {self.seen[-500:]}"
            self.seen += data.decode()
        heard, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return heard

    def ping(self):
        self.count += 1
        self.send(f"<iq type='get' id='p{self.count}'><ping xmlns='urn:xmpp:ping'/></iq>")
        return self.hear(f"id='p{self.count}'")

    def archived(self):
        """Bodies of the last page."""
        self.send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
                  "<max>250</max><before/></set></query></iq>")
        return re.findall("<body>(.*?)</body>", self.hear("^.*<iq[^>]*id='mam'.*?</iq>"))
