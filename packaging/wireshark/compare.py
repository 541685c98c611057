#!/usr/bin/env python3
"""Compare the output of tshark and stepctl verify for one capture: compare.py NAME FIELDS.json VERIFY.json"""

import json
import sys


def fail(message):
    print(f"compare: {sys.argv[1]}: {message}", file=sys.stderr)
    sys.exit(1)


def messages(rows):
    """Return the messages of tshark by frame and type. tshark lists the values of a field for the whole
    frame, so in a frame with several messages only the fields that all have are compared."""
    found = {}
    for row in rows:
        fields = row["_source"]["layers"]
        for n, kind in enumerate(fields.get("stepagent.type", [])):
            alone = len(fields["stepagent.type"]) == 1
            one = {k.removeprefix("stepagent."): v[n] for k, v in fields.items()
                   if k.startswith("stepagent.") and (alone or len(v) == len(fields["stepagent.type"]))}
            one["expert"] = fields.get("_ws.expert.message", [])
            found.setdefault((int(fields["frame.number"][0]), kind), []).append(one)
    return found


def same(what, got, want):
    if isinstance(want, float) or isinstance(want, int):
        equal = got is not None and abs(float(got) - want) < 2e-9
    else:
        equal = got == want
    if not equal:
        fail(f"{what}: tshark has {got}, stepctl verify has {want}")


def main():
    rows, report = (json.load(open(path)) for path in sys.argv[2:4])
    found = messages(rows)
    steps = [s for session in report["sessions"] for s in session["steps"]] + report["outside"]
    compared = replies = lates = silent = 0
    for step in steps:
        if step["step_id"] is None:
            continue
        frame = step["request"]["packet"]
        candidates = [m for m in found.get((frame, "request"), []) if m.get("step_id") == str(step["step_id"])]
        if not candidates:
            fail(f"step {step['step_id']}: no request in frame {frame}")
        asked = candidates[0]
        request = json.loads(step["request"]["text"])
        for name in ("timeout", "interval", "session", "req"):
            if name in request:
                same(f"frame {frame}, {name}", asked.get(name), str(request[name]) if name == "req" else request[name])
        compared += 1
        if step["reply"] is None:
            if not asked["expert"] or "reply_in" in asked:
                fail(f"frame {frame}: tshark does not report the missing reply")
            silent += 1
            continue
        at = step["reply"]["packet"]
        same(f"frame {frame}, its reply", asked.get("reply_in"), str(at))
        answers = [m for m in found.get((at, "reply"), []) if m.get("request_in") == str(frame)]
        if not answers:
            fail(f"frame {at}: no reply to frame {frame}")
        got, reply = answers[0], json.loads(step["reply"]["text"])
        same(f"frame {at}, step_id", got["step_id"], str(reply["step_id"]))
        same(f"frame {at}, error_code", got["error_code"], str(step["error_code"]))
        for name in ("reason", "detail"):
            same(f"frame {at}, {name}", got.get(name), reply.get(name))
        same(f"frame {at}, response_time", got["response_time"], step["response"])
        same(f"frame {at}, late", "late" in got, step["outcome"] == "late")
        if step["error_code"] != 0 and not any("Refused" in m for m in got["expert"]):
            fail(f"frame {at}: tshark does not report the refusal")
        replies += 1
        lates += "late" in got
    if not compared:
        fail("no requests to compare")
    print(f"{sys.argv[1]}: {compared} requests, {replies} replies, {lates} late, {silent} without a reply: both agree")


main()
