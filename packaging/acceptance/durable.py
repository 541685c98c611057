"""Clients of durable.sh, which names the task: python3 durable.py TASK ARGUMENT..."""

import fcntl
import json
import os
import socket
import struct
import sys
import threading
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # what is not synced is lost, as in a power cut


class Client:
    """A client of a named session; position is how many of its steps passed."""

    def __init__(self, port, session, position=0):
        self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
        self.lines = self.socket.makefile("rb")
        self.session, self.position = session, position

    def step(self):
        """Sends the next step; None is a lost connection."""
        request = {"step_id": self.position % 10 + 1, "timeout": 5, "session": self.session, "req": self.position}
        try:
            self.socket.sendall(json.dumps(request).encode() + b"\n")
            line = self.lines.readline()
        except OSError:
            return None
        if not line.endswith(b"\n"):
            return None
        reply = json.loads(line)
        if reply["error_code"] == 0:
            self.position += 1
        return reply


def steps(port, session, position, count):
    """Has steps judged, from a position on; all must pass."""
    c = Client(port, session, int(position))
    for _ in range(int(count)):
        reply = c.step()
        print(reply)
        if not reply or reply["error_code"] != 0:
            sys.exit(1)


def until(port, session, position, reason):
    """Sends steps until one gets the reason, and prints its detail and the position."""
    c = Client(port, session, int(position))
    for _ in range(100000):
        reply = c.step()
        if not reply:
            sys.exit("the connection is lost")
        if reply["error_code"] != 0:
            print(reply.get("detail"), file=sys.stderr)
            print(c.position)
            sys.exit(reply.get("reason") != reason)
    sys.exit("every step passed")


def load(port, file, clients, folder, seconds):
    """Sends steps in many sessions until the power of the folder's disk is cut. The file says how many
    steps of each had passed just before, and how many in the end."""
    try:
        with open(file) as f:
            positions = {session: found for session, (_, found) in json.load(f).items()}
    except FileNotFoundError:
        positions = {f"load-{n}": 0 for n in range(int(clients))}
    connections = [Client(port, session, position) for session, position in positions.items()]
    wrong = []

    def perform(c):
        while (reply := c.step()) and reply["error_code"] == 0:
            pass
        if reply and reply["reason"] not in ("busy", "shutting_down"):
            wrong.append(reply)

    threads = [threading.Thread(target=perform, args=(c,)) for c in connections]
    for thread in threads:
        thread.start()
    time.sleep(float(seconds))
    before = [c.position for c in connections]
    cut(folder)
    # A sync that was under way may succeed without effect, so the agent's end is not waited for.
    print("cut", flush=True)
    for thread in threads:
        thread.join()
    with open(file, "w") as f:
        json.dump({c.session: (least, c.position) for c, least in zip(connections, before)}, f)
    print(sum(c.position for c in connections), "steps passed")
    if wrong:
        sys.exit(str(wrong[:5]))


def compare(file):
    """Compares the positions to those of stepagent sessions --json. What had passed before the cut must
    be there. There may be one step more than passed in the end, whose reply was lost."""
    with open(file) as f:
        positions = json.load(f)
    found = {s["id"]: s["position"] for s in json.load(sys.stdin)}
    wrong = {session: (least, most, found.get(session)) for session, (least, most) in positions.items()
             if most and not least <= found.get(session, -1) <= most + 1}
    with open(file, "w") as f:
        json.dump({session: (found.get(session, 0),) * 2 for session in positions}, f)
    print(len(found), "sessions;", sum(found.values()), "steps; between the least and the most:",
          sum(most - least for least, most in positions.values()))
    if wrong:
        sys.exit(f"passed before the cut, passed, and found: {wrong}")


def cut(folder):
    """Shuts a file system down as a power cut does."""
    fcntl.ioctl(os.open(folder, os.O_RDONLY), EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


def newer(file):
    """Makes a file of sessions one of a format that only newer agents can read."""
    with open(file, "r+b") as f:
        magic = f.read(8)
        begin = magic + struct.pack("<HH", 99, 99)
        f.seek(0)
        f.write(begin + struct.pack("<I", crc32c(begin)))


if __name__ == "__main__":
    {f.__name__: f for f in (steps, until, load, compare, cut, newer)}[sys.argv[1]](*sys.argv[2:])
