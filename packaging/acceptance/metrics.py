#!/usr/bin/env python3
"""metrics.py COMMAND ARGUMENT...: the part of metrics.sh that speaks to the agent and to Prometheus.

It prints what is wrong and exits with 1.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

# How the numbers of "stepagent status --json" are called in Prometheus. {} is a key of a table.
COUNTS = {
    "connections.limit": "stepagent_connections_limit",
    "connections.accepted": "stepagent_connections_accepted_total",
    "connections.refused": 'stepagent_connections_refused_total{reason="limit"}',
    "connections.not_allowed": 'stepagent_connections_refused_total{reason="not_allowed"}',
    "connections.messages_refused": "sum(stepagent_messages_refused_total)",
    "connections.messages_refused_by_reason.{}": 'stepagent_messages_refused_total{reason="{}"}',
    "connections.open": "stepagent_connections",
    "sessions.open": "stepagent_sessions",
    "sessions.completed": 'stepagent_sessions_ended_total{outcome="completed"}',
    "sessions.incomplete": 'stepagent_sessions_ended_total{outcome="incomplete"}',
    "sessions.moved_in": 'stepagent_sessions_moved_total{direction="in"}',
    "sessions.moved_out": 'stepagent_sessions_moved_total{direction="out"}',
    "sessions.steps_passed": 'stepagent_steps_total{outcome="pass",reason="none"}',
    "sessions.steps_failed": 'sum(stepagent_steps_total{outcome="fail"})',
    "sessions.steps_undecided": 'sum(stepagent_steps_total{outcome="undecided"})',
    "sessions.steps_by_reason.{}": 'stepagent_steps_total{reason="{}"}',
    "sessions.steps_replayed": "stepagent_steps_replayed_total",
    "sessions.remembered_bytes": "stepagent_replay_cache_bytes",
    "session_store.sessions": "stepagent_session_store_sessions",
    "session_store.bytes": "stepagent_session_store_bytes",
    "session_store.restored": "stepagent_session_store_restored_sessions",
    "session_store.dropped": "stepagent_session_store_dropped_sessions",
    "session_store.commits": "stepagent_session_store_commits_total",
    "session_store.syncs": "stepagent_session_store_syncs_total",
    "session_store.snapshots": "stepagent_session_store_snapshots_total",
    "session_store.conflicts": "stepagent_session_store_conflicts_total",
    "session_store.loads": "stepagent_session_store_loads_total",
    "session_store.resent": "stepagent_session_store_resent_total",
    "record.enabled": "stepagent_record_enabled",
    "record.written": "stepagent_record_events_written_total",
    "record.dropped": "stepagent_record_events_dropped_total",
    "record.lost": "stepagent_record_events_lost_total",
    "record.queued": "stepagent_record_queued_events",
    "log.dropped": 'stepagent_log_lines_lost_total{cause="dropped"}',
    "log.unwritten": 'stepagent_log_lines_lost_total{cause="unwritten"}',
    "generation": "stepagent_validators_generation",
}

# The same for each of its validators.
PER_PROCESS = {
    "restarts": "stepagent_validator_restarts_total",
    "steps": "stepagent_validator_steps_total",
    "errors": "stepagent_validator_errors_total",
    "refusing": "stepagent_validator_refusing",
    "kept.hits": "stepagent_verdict_cache_hits_total",
    "kept.misses": "stepagent_verdict_cache_misses_total",
    "kept.entries": "stepagent_verdict_cache_entries",
    "kept.bytes": "stepagent_verdict_cache_bytes",
    "kept.differing": "stepagent_verdict_cache_differing_total",
}

NO_REPLY = 0.2  # seconds


class Wrong(Exception):
    """Something is not as it should be."""


def query(port, expression):
    """Returns the samples of a query, as pairs of labels and value."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            data = json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise Wrong(f"{expression}: {error.read().decode()}") from error
    return [(s["metric"], float(s["value"][1])) for s in data["result"] if "value" in s]


def one(port, expression):
    """Returns the value of a query that has one sample."""
    found = query(port, expression)
    if len(found) != 1:
        raise Wrong(f"{expression}: {len(found)} samples")
    return found[0][1]


def value(port, expression, want):
    """The query has one sample with this value."""
    if (got := one(port, expression)) != float(want):
        raise Wrong(f"{expression} is {got:g}, want {want}")


def none(port, expression):
    """The query has no sample."""
    if found := query(port, expression):
        raise Wrong(f"{expression}: {found}")


class Client:
    """A connection to the agent."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", int(port)))
        self.replies = self.socket.makefile("rb")

    def close(self):
        self.replies.close()
        self.socket.close()

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.socket.sendall(text.encode())

    def expect(self, message, want, **fields):
        """Sends a message, or the step with this id, and expects this reason; "" for a pass."""
        self.send(message if isinstance(message, str) else {"step_id": message, "timeout": 5, **fields})
        self.socket.settimeout(10)
        reply = json.loads(self.replies.readline() or "{}")
        if reply.get("reason", "") != want:
            raise Wrong(f"{message}: {reply}, want {want!r}")

    def unanswered(self, step, **fields):
        """Sends a step that gets no reply."""
        self.send({"step_id": step, "timeout": NO_REPLY, **fields})
        self.socket.settimeout(NO_REPLY)
        with contextlib.suppress(TimeoutError):
            raise Wrong(f"step {step} has a reply: {self.socket.recv(4096)!r}")


def connection(port):
    return contextlib.closing(Client(port))


def steps(port):
    """Sends steps that pass, fail for each reason, are refused and get no reply."""
    for run in range(5):
        with connection(port) as c:
            for step in range(1, 11):
                fields = {"session": f"run {run}", "req": step}
                if step == 9:
                    c.unanswered(step, **fields)
                else:
                    c.expect(step, "", **fields)
            c.expect(10, "", session=f"run {run}", req=10)  # from the replay cache
    with connection(port) as c:
        c.expect(7, "out_of_order", session="bad order")
        c.expect(2, "timeout_too_short", session="bad order", timeout=0.01)
        c.expect(3, "", session="bad order", interval=3)
        c.expect(4, "interval_not_kept", session="bad order")
        c.expect(5, "rule_broken", session="bad order", data={"volts": 99})
        for step in range(6, 11):
            if step == 9:
                c.unanswered(step, session="bad order")
            else:
                c.expect(step, "", session="bad order")
    with connection(port) as c:
        for _ in range(15):
            c.expect('{"step_id":"seven"}', "bad_request")
        for session in range(6):
            c.expect(1, "", session=f"open {session}")
        c.expect(1, "busy", session="one too many")
        for session in range(6):
            for step in range(2, 11):
                if step == 9:
                    c.unanswered(step, session=f"open {session}")
                else:
                    c.expect(step, "", session=f"open {session}")
    with connection(port) as c:
        c.expect("[]", "bad_message")
    with contextlib.ExitStack() as crowd:
        clients = [crowd.enter_context(connection(port)) for _ in range(16)]
        for c in clients[:12]:
            c.send('{"step_id":true}')
        for c in clients:
            c.socket.settimeout(10)
            c.replies.readline()


def stopped(port, pid):
    """A step of which the validators are stopped gets no verdict; it is sent again later."""
    with connection(port) as c:
        os.kill(int(pid), signal.SIGSTOP)
        try:
            c.expect(1, "validator_unavailable", session="stopped", timeout=0.2)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGCONT)
        for step in range(1, 11):
            if step == 9:
                c.unanswered(step, session="stopped")
            else:
                c.expect(step, "", session="stopped")


def at(tree, path):
    for key in path.split("."):
        tree = tree[key]
    return tree


def pairs(status):
    """Yields each number of the status with its name and its query."""
    for path, metric in COUNTS.items():
        table, _, key = path.rpartition(".")
        if key != "{}":
            yield path, float(at(status, path)), metric
            continue
        for key, number in at(status, table).items():
            yield f"{table}.{key}", float(number), metric.replace("{}", key)
    for process in status["validators"]:
        names = ",".join(process["validators"])
        yield f"{names} state", float(process["state"] == "serving"), f'stepagent_validator_serving{{validators="{names}"}}'
        yield f"{names} latency", float(process["steps"] - process["kept"]["hits"] - process["errors"]), (
            f'stepagent_validator_duration_seconds_count{{validators="{names}"}}'
            f' or histogram_count(stepagent_validator_duration_seconds{{validators="{names}"}})')
        for path, metric in PER_PROCESS.items():
            yield f"{names} {path}", float(at(process, path)), f'{metric}{{validators="{names}"}}'


def compare(port, file):
    """What Prometheus has last stored is what the status says."""
    with open(file, encoding="utf-8") as f:
        status = json.load(f)
    wrong, compared = [], 0
    for name, want, expression in pairs(status):
        compared += 1
        if (got := one(port, expression)) != want:
            wrong.append(f"{name}: {expression} is {got:g}, the status has {want:g}")
    for reason, number in status["sessions"]["steps_by_reason"].items():
        if number == 0 and reason not in ("shutting_down", "busy"):
            wrong.append(f"no step has the reason {reason}")
    if wrong:
        raise Wrong("\n".join(wrong))
    print(compared, "numbers")


def histogram(port, kind, file):
    """Each reply to a step is in the histogram, and no quantile is absurd."""
    with open(file, encoding="utf-8") as f:
        status = json.load(f)
    sessions, refused = status["sessions"], status["connections"]["messages_refused_by_reason"]
    withheld = sessions["completed"]  # the fault of step 9
    answered = ("steps_passed", "steps_failed", "steps_undecided", "steps_replayed")
    want = sum(sessions[kind] for kind in answered) + refused["busy"] - withheld
    name = "stepagent_step_duration_seconds"
    if kind == "native":
        value(port, f"histogram_count({name})", want)
        p99 = one(port, f"histogram_quantile(0.99, {name})")
        none(port, f"{name}_bucket")
    else:
        value(port, f"{name}_count", want)
        value(port, f'{name}_bucket{{le="+Inf"}}', want)
        p99 = one(port, f"histogram_quantile(0.99, {name}_bucket)")
    if not 1e-6 < p99 < 10:
        raise Wrong(f"the 99th percentile is {p99} s")


def dashboard(port, file):
    """Each query of the dashboard has a result."""
    with open(file, encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    wrong, queries = [], 0
    for panel in panels:
        for target in panel.get("targets", []):
            queries += 1
            expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "5m")
            if not query(port, expression):
                wrong.append(f"{panel['title']}: no result: {expression}")
    if wrong:
        raise Wrong("\n".join(wrong))
    print(queries, "queries")


def monotonic(port):
    """No counter has ever gone down."""
    names = {labels["__name__"] for labels, _ in query(port, '{__name__=~"stepagent_.*_(total|count|sum|bucket)"}')}
    if len(names) < 20:
        raise Wrong(f"counters: {names}")
    for name in names:
        none(port, f"resets({name}[10m]) > 0")


def main():
    commands = {f.__name__: f for f in (value, none, steps, stopped, compare, histogram, dashboard, monotonic)}
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except Wrong as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
