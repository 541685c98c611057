"""Conversion between gRPC messages and the contract."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from . import validator_pb2 as pb
from .contract import (
    ALL_INPUTS,
    BadData,
    Input,
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
"""The longest reason of an undecided verdict, in bytes."""

_NS = 1e9


def _seconds(message: Any, field: str) -> float | None:
    if not message.HasField(field):
        return None
    return float(max(getattr(message, field), 0) / _NS)


def call_parts(call: Any, state: bytes) -> tuple[Session, Step]:
    """Return the session and the step of a call."""
    s, t = call.session, call.step
    return (
        Session("", s.position, s.steps, state),
        Step(t.id, _seconds(t, "timeout_ns"), _seconds(t, "interval_ns"),
             t.at_ns / _NS, _seconds(t, "gap_ns"), t.data))


def mask(reads: frozenset[Input], session: Session,
         step: Step) -> tuple[Session, Step]:
    """Return the declared inputs; the others are absent.

    The agent sends the inputs of all validators of the process.
    """
    def given(one: Input, value: Any, absent: Any) -> Any:
        return value if one in reads else absent

    return (
        Session("", given(Input.POSITION, session.position, 0),
                given(Input.STEPS, session.steps, 0), session.state),
        Step(given(Input.STEP_ID, step.id, 0),
             given(Input.TIMEOUT, step.timeout, None),
             given(Input.INTERVAL, step.interval, None),
             given(Input.AT, step.at, 0.0),
             given(Input.GAP, step.gap, None),
             given(Input.DATA, step.data, b"")))


def answer(name: str, validator: Validator, session: Session, step: Step,
           reads: frozenset[Input] = ALL_INPUTS) -> Any:
    """Judge one step. No exception of the validator leaves this function."""
    session, step = mask(reads, session, step)
    try:
        verdict = _judged(validator, session, step)
        verdict.check()
        message = _encode(verdict)
        expects = getattr(validator, "expects", None)
        if expects is not None:
            step_id = expects(_after(reads, session, verdict))
            if step_id is not None:
                message.expects = step_id
        return message
    except Undecided as why:
        return _undecided(str(why) or "undecided, with no reason given")
    except Malformed as wrong:
        return _undecided(f"malformed verdict: {wrong}")
    except Exception as error:  # the author's code may raise any
        print(f"validator {name}:", file=sys.stderr)
        traceback.print_exc(file=sys.stderr)
        return _undecided(f"panic: {type(error).__name__}: {error}")


def _after(reads: frozenset[Input], session: Session,
           verdict: Verdict) -> Session:
    """Return the session that expects gets after the step."""
    judged = 1 if Input.POSITION in reads else 0
    return session._replace(position=session.position + judged,
                            state=verdict.state)


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
