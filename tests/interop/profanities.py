"""profanity as its owner uses it with OMEMO (XEP-0384): logs in, makes keys, knows somebody, writes."""


def log_in(terminal, name, port):
    terminal.type("/clear")
    terminal.type(f"/connect {name}@localhost server 127.0.0.1 port {port} tls force")
    terminal.wait_for("password")
    terminal.type(f"secret of {name}")
    terminal.wait_for("logged in successfully")


def come(terminal, name, port):
    """Logs in for the first time and makes its keys. The device's list is not there yet: it makes that, too."""
    terminal.wait_for("Profanity")
    terminal.type("/reconnect 1")
    terminal.type("/omemo trustmode blind")
    log_in(terminal, name, port)
    # Said once it knows what the server and each of its services can; its keys can be published from then on.
    terminal.wait_for("cannot publish crypto materials")
    terminal.type("/omemo gen")
    terminal.wait_for(f"Blind trust for {name}@localhost device")


def befriend(romeo, juliet):
    romeo.type("/sub request juliet@localhost")
    juliet.wait_for("Received authorization request from romeo@localhost")
    juliet.type("/sub allow romeo@localhost")
    juliet.type("/sub request romeo@localhost")
    romeo.wait_for("Received authorization request from juliet@localhost")
    romeo.type("/sub allow juliet@localhost")
    juliet.wait_for("++ romeo@localhost")


def say(terminal, text, me="me"):
    """Again until it can: it says at once whether it has keys to write with, and fetches what it lacks."""
    for _ in range(20):
        terminal.type(text)
        try:
            return terminal.wait_for(f"~ {me}: {text}", seconds=1)
        except SystemExit:
            pass
    terminal.wait_for(f"~ {me}: {text}")
