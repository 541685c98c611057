#!/usr/bin/env python3
# Runs a list of test services against an agent, as the first test benches did: it opens a
# connection for every step, sends one bare JSON object with no newline, names no session
# and no request, and takes whatever object comes back for the answer.
import argparse
import json
import os
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def receive(sock, deadline):
    """Collects bytes until they are one JSON object; None when the time is up."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        sock.settimeout(left)
        try:
            chunk = sock.recv(4096)
        except socket.timeout:
            return None
        if not chunk:
            raise ConnectionError("closed by the agent")
        data += chunk
        try:
            return json.loads(data)
        except ValueError:
            pass  # not all of it yet


def run_step(sock, step):
    """Sends one step and returns what was wrong; "" when nothing was."""
    sock.sendall(json.dumps(step).encode())
    reply = receive(sock, time.monotonic() + step["timeout"])
    if reply is None:
        raise ConnectionError("timeout")  # a late reply must not be taken for the next
    if reply.get("step_id") != step["step_id"]:
        return "reply to step %s" % reply.get("step_id")
    if reply.get("error_code") != 0:
        return str(reply.get("reason", "error_code %s" % reply.get("error_code")))
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--timeout", type=float, default=5, help="seconds to wait for a connection")
    parser.add_argument("--data", choices=["success", "failure"], default="success")
    parser.add_argument("--interval-scale", type=float, default=1, help="0.1 keeps a tenth of each interval")
    parser.add_argument("--persistent", action="store_true", help="one connection for all the steps")
    args = parser.parse_args()

    with open(os.path.join(HERE, "..", args.data + "_data.json")) as f:
        steps = json.load(f)["test_services"]

    all_ok = True
    sock = None
    for n, step in enumerate(steps):
        request = {key: step[key] for key in ("step_id", "timeout", "interval")}
        keep = args.persistent
        try:
            if sock is None:
                sock = socket.create_connection((args.host, args.port), args.timeout)
            problem = run_step(sock, request)
        except OSError as e:
            problem, keep = str(e), False
        print("step %d: %s" % (step["step_id"], "NOK " + problem if problem else "OK"), flush=True)
        all_ok = all_ok and not problem
        if sock is not None and not keep:
            sock.close()
            sock = None
        if n + 1 < len(steps):
            time.sleep(step["interval"] * args.interval_scale)
    return 0 if all_ok else 1


if __name__ == "__main__":
    sys.exit(main())
