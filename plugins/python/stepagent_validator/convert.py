"""Between the messages on the wire and the contract."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from . import validator_pb2 as pb
from .contract import (
    BadData,
    Malformed,
    Reason,
    Session,
    Step,
    Undecided,
    Validator,
    Verdict,
    failed,
)

MAX_ERROR_BYTES = 512
"""The longest text that says why a verdict is undecided."""

_NS = 1e9


def _seconds(message: Any, field: str) -> float | None:
    if not message.HasField(field):
        return None
    return float(max(getattr(message, field), 0) / _NS)


def call_parts(call: Any, state: bytes) -> tuple[Session, Step]:
    """Return the session and the step of a call."""
    s, t = call.session, call.step
    return (
        Session(s.id, s.position, s.steps, state),
        Step(t.id, _seconds(t, "timeout_ns"), _seconds(t, "interval_ns"),
             t.at_ns / _NS, _seconds(t, "gap_ns"), t.data))


def answer(name: str, validator: Validator, session: Session,
           step: Step) -> Any:
    """Put one step to a validator; whatever it does stays in here."""
    try:
        verdict = _judged(validator, session, step)
        verdict.check()
        message = _encode(verdict)
        expects = getattr(validator, "expects", None)
        if expects is not None:
            step_id = expects(Session(session.id, session.position + 1,
                                      session.steps, verdict.state))
            if step_id is not None:
                message.expects = step_id
        return message
    except Undecided as why:
        return _undecided(str(why) or "undecided, with no reason given")
    except Malformed as wrong:
        return _undecided(f"malformed verdict: {wrong}")
    except Exception as error:  # whatever an author's code does
        print(f"validator {name}:", file=sys.stderr)
        traceback.print_exc(file=sys.stderr)
        return _undecided(f"panic: {type(error).__name__}: {error}")


def _judged(validator: Validator, session: Session, step: Step) -> Verdict:
    try:
        verdict = validator.validate(session, step)
    except BadData as why:
        return failed(Reason.RULE_BROKEN, str(why), session.state)
    if not isinstance(verdict, Verdict):
        raise Malformed(f"want a Verdict, got {verdict!r:.80}")
    return verdict


def _encode(verdict: Verdict) -> Any:
    if verdict.reason is None:
        message = pb.Verdict(outcome=pb.OUTCOME_PASS, state=verdict.state)
    else:
        message = pb.Verdict(
            outcome=pb.OUTCOME_FAIL, reason=verdict.reason.value,
            detail=verdict.detail, state=verdict.state)
    if verdict.fault is not None:
        fault: Any = verdict.fault
        message.fault.kind = int(fault.kind)
        message.fault.delay_ns = round(fault.delay * _NS)
        message.fault.step_id = fault.step_id
        message.fault.code = fault.code
    return message


def _undecided(why: str) -> Any:
    text = why.encode(errors="replace")[:MAX_ERROR_BYTES]
    return pb.Verdict(error=text.decode(errors="ignore"))
