"""An agent as the live page sees it, for what a real one cannot be made to show: names and details that the
protocol refuses, ten thousand sessions at a known rate, a silent link, a viewer that lost events.

    fakeagent.py FOLDER PORT SESSIONS      serves the page in FOLDER, to look at
"""

import http.server
import json
import pathlib
import random
import sys
import threading
import time

TOKEN = "t" * 43
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
DETAIL = "step 7 came where step 4 was expected"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f"{seconds % 1:.6f}Z"[1:]


class FakeAgent(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder, count, port=0, names=(), details=(DETAIL,)):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder, self.details = pathlib.Path(folder), details
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        self.started = time.time() - 3725
        self.random = random.Random(1)
        self.passed = self.failed = self.undecided = 0
        self.trouble, self.read_only, self.refusal, self.posts = [], False, "", []
        self.silent, self.lost, self.frozen, self.half, self.seen = False, 0, False, False, []
        names = list(names) + [f"bench-{n}" for n in range(count - len(names))]
        self.sessions = [self.begin(n, name) for n, name in enumerate(names)]
        self.failures = []
        for _ in range(4):
            for s in self.sessions:
                self.step(s)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def begin(self, n, name):
        client = f"[fe80::{n:x}:1]:40000" if n % 7 == 3 else f"10.0.{n // 250}.{n % 250}:40000"
        return {"id": name, "client": client, "began": stamp(time.time()), "position": 0, "steps": 10,
                "outcomes": "", "undecided": 0, "state": "open", "waits_for": "client", "due": stamp(time.time())}

    def step(self, s):
        """Judges a step of a session, or begins it anew."""
        if s["state"] != "open":
            s.update(began=stamp(time.time()), position=0, outcomes="", undecided=0, state="open", waits_for="client")
        chance = self.random.random()
        s["due"] = stamp(time.time() + self.random.choice((0, 2)))
        s["waits_for"] = "validator" if 0.5 < chance < 0.52 else "client"
        if chance < 0.03:
            bad = "fail" if chance > 0.004 else "undecided"
            reason = "out_of_order" if bad == "fail" else "validator_unavailable"
            self.failures.append({"time": stamp(time.time()), "session": s["id"], "client": s["client"], "step_id": 7,
                                  "position": s["position"] + 1, "outcome": bad, "reason": reason,
                                  "detail": self.random.choice(self.details)})
            if bad == "undecided":
                s["undecided"] += 1
                self.undecided += 1
                return
            self.failed += 1
        else:
            self.passed += 1
        s["position"] += 1
        s["outcomes"] += "f" if chance < 0.03 else "p"
        if s["position"] == s["steps"]:
            s["state"] = "fail" if "f" in s["outcomes"] else "pass"
            del s["waits_for"], s["due"]

    def status(self):
        uptime = time.time() - self.started
        validator = {"generation": 3, "validators": ["sequence", "min_timeout"], "state": "serving", "pid": 12, "uptime_seconds": uptime,
                     "restarts": 1, "refusing": False, "steps": self.passed + self.failed, "errors": self.undecided,
                     "latency": {"p50_ns": 61_000, "p99_ns": 240_000}, "last_error": "exited with signal: killed"}
        status = {"version": "1.2.0", "pid": 7, "address": "0.0.0.0:8080", "uptime_seconds": uptime, "generation": 3,
                  "connections": {"open": len(self.sessions), "limit": 16384, "refused": 3, "not_allowed": 0, "messages_refused": 5,
                                  "messages_refused_by_reason": {"bad_message": 2, "bad_request": 0, "busy": 3, "shutting_down": 0, "internal": 0}},
                  "sessions": {"open": sum(s["state"] == "open" for s in self.sessions), "steps_passed": self.passed,
                               "steps_failed": self.failed, "steps_undecided": self.undecided,
                               "steps_by_reason": {"out_of_order": self.failed, "timeout_too_short": 0, "interval_not_kept": 0,
                                                   "rule_broken": 0, "validator_unavailable": self.undecided, "shutting_down": 0}},
                  "validators": [validator], "trouble": self.trouble,
                  "http": {"token_file": "/var/lib/stepagent/http-token", "read_only": self.read_only, "viewers": 1}}
        return status

    def change(self, sessions, failures):
        self.uptime = time.time() - self.started
        return {"time": stamp(time.time()), "uptime_seconds": self.uptime, "sessions": sessions, "failures": failures,
                "passed": self.passed, "failed": self.failed, "undecided": self.undecided,
                "median_seconds": 0.00005 + self.random.random() * 1e-5, "p99_seconds": 0.0002 + self.random.random() * 1e-4}

    def advance(self):
        """Judges a step in a tenth of the sessions, up to a thousand. It returns the change."""
        if self.frozen:
            return self.change([], [])
        count = min(1000, len(self.sessions) // 10 + 1)
        chosen = self.random.sample(self.sessions, min(count, len(self.sessions)))
        self.failures = []
        for s in chosen:
            self.step(s)
        return self.change(chosen, self.failures[-64:])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, detail):
        self.answer(status, json.dumps({"status": status, "detail": detail}).encode(), "application/problem+json")

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/api/v1/events":
            return self.events()
        file = self.server.folder / (path.strip("/") or "index.html")
        if file.suffix not in TYPES or not file.exists():
            return self.problem(404, "no such file")
        self.answer(200, file.read_bytes(), TYPES[file.suffix])

    def do_POST(self):
        agent = self.server
        agent.posts.append(self.path)
        if self.headers["X-Stepagent"] != "1":
            self.problem(403, "header missing")
        elif self.headers["Authorization"] != "Bearer " + TOKEN:
            self.problem(401, "the token is missing or wrong")
        elif self.path == "/api/v1/reload":
            self.answer(200, json.dumps(agent.status()).encode(), "application/json")
        else:
            self.problem(404, "no session of that name is open")

    def events(self):
        agent = self.server
        agent.seen.append(self.headers["Last-Event-ID"])
        if agent.refusal:
            return self.problem(503, agent.refusal)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self.welcome()
            while True:
                time.sleep(0.25)
                if agent.silent:
                    continue
                if agent.lost:
                    self.send("lost", {"events": agent.lost})
                    agent.lost = 0
                    self.welcome()
                self.send("status", agent.status())
                self.wfile.write(b"id: p-2\n")
                self.send("change", agent.advance())
        except OSError:
            self.close_connection = True

    def welcome(self):
        agent = self.server
        self.wfile.write(b"id: p-1\n")
        self.send("start", {"sessions_left_out": 0})
        if agent.half:
            agent.half = False
            raise OSError("the link breaks in the middle of the state")
        self.send("status", agent.status())
        for n in range(0, max(1, len(agent.sessions)), 1000):
            self.send("change", agent.change([s for s in agent.sessions[n:n + 1000] if s["state"] == "open"], agent.failures[-64:] if n == 0 else []))

    def send(self, kind, body):
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode())


if __name__ == "__main__":
    agent = FakeAgent(sys.argv[1], int(sys.argv[3]), int(sys.argv[2]), ["<img src=x onerror=alert(1)>"])
    print(agent.url)
    threading.Event().wait()
