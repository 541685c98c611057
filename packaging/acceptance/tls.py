"""Clients of tls.sh, which names the check: python3 tls.py CHECK ARGUMENT..."""

import json
import re
import resource
import socket
import ssl
import subprocess
import sys
import time


def step(step_id, **more):
    return (json.dumps({"step_id": step_id, "timeout": 5, **more}) + "\n").encode()


def context(folder, name):
    c = ssl.create_default_context(cafile=f"{folder}/own/ca.pem")
    c.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return c


class Client:
    """A client over TLS with the certificate of that name."""

    def __init__(self, port, folder, name):
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket = context(folder, name).wrap_socket(raw, server_hostname="localhost")
        self.lines = self.socket.makefile("rb")

    def ask(self, step_id, **more):
        self.socket.sendall(step(step_id, **more))
        return json.loads(self.lines.readline())


def plain(port):
    """Sends a step in plain text to a port that speaks TLS, and prints the answer."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as s:
        s.sendall(step(1))
        print(s.makefile("rb").readline().decode())


def hello(port):
    """Begins TLS at a plain port, and prints the answer."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as s:
        s.sendall(b"\x16\x03\x01\x02\x00" + bytes(512))
        print(s.makefile("rb").readline().decode())


def unix(path):
    """Performs a step over a unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(step(1))
        print(s.makefile("rb").readline().decode())


def names(port, folder):
    """Two identities use one session name; neither sees the session of the other."""
    owner, rival = (Client(int(port), folder, name) for name in ("station", "rival"))
    for step_id in range(1, 5):
        reply = owner.ask(step_id, session="shared", req=step_id)
        assert reply["error_code"] == 0, reply
    reply = rival.ask(5, session="shared", req=5)
    assert reply["error_code"] != 0, f"the rival goes on with the session: {reply}"
    reply = rival.ask(1, session="shared", req=1)  # its own session; the owner's reply to 1 is not repeated to it
    reply = owner.ask(5, session="shared", req=5)
    assert reply["error_code"] == 0, f"the owner's session was changed: {reply}"
    again = Client(int(port), folder, "station")  # the same identity over another connection
    reply = again.ask(6, session="shared", req=6)
    assert reply["error_code"] == 0, f"the owner cannot go on over another connection: {reply}"


def stay(port, folder, name):
    """Stays connected until the agent closes the connection."""
    client = Client(int(port), folder, name)
    client.ask(1)
    print("open", flush=True)
    client.socket.settimeout(30)
    try:
        assert client.lines.readline() == b"", "a message came"
    except (ConnectionResetError, ssl.SSLError):
        pass
    print("closed", flush=True)


def p99(stepctl, port):
    out = subprocess.run([stepctl, "load", "--clients", "256", "--duration", "3s", "--host", "localhost", "--port", port],
                         capture_output=True, text=True, check=True).stdout
    value, unit = re.search(r"p99 ([\d.]+)(µs|ms|s)", out).groups()
    return float(value) * {"µs": 1e-6, "ms": 1e-3, "s": 1}[unit]


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) // 1024


def flood(secure, port, agent, stepctl):
    """Opens two thousand handshakes that do not go on, while 256 plain clients send steps."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    before, memory = p99(stepctl, port), rss(agent)
    sockets, began = [], time.monotonic()
    for n in range(2000):
        s = socket.create_connection(("127.0.0.1", int(secure)), timeout=20)
        s.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(200))[: n % 200 + 1])
        sockets.append(s)
    during, grown = p99(stepctl, port), rss(agent) - memory
    for s in sockets:
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
        s.close()
    took = time.monotonic() - began
    print(f"p99 {before * 1e3:.1f} ms alone, {during * 1e3:.1f} ms beside half handshakes; {grown} MiB; all closed after {took:.1f} s")
    assert took < 30, "connections stay open"
    assert grown < 128, "they take too much memory"
    assert during < 4 * before + 0.05, "plain clients wait"  # a busy machine; docs/performance.md has the figures


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
