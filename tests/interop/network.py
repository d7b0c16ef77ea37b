"""A network of one's own before the server: it breaks when told to."""
import socket
import struct
import threading


class Network:
    """Passes on what comes to its port; broken, it resets every connection, old or new."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.broken = False
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.broken:
                reset(near)
                continue
            far = socket.create_connection(("127.0.0.1", self.to_port))
            self.sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=(one, other), daemon=True).start()

    def break_off(self):
        self.broken = True
        for each in self.sockets:
            reset(each)
        self.sockets.clear()

    def mend(self):
        self.broken = False

    def close(self):
        self.break_off()
        self.listener.close()


def reset(one):
    """RST instead of FIN. Shutting down for reading first wakes who waits to read from it."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
    except OSError:
        pass  # it ended by itself
    one.close()


def pass_on(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # reset
