"""The contract between an agent and its validators."""

from __future__ import annotations

import enum
import json
from typing import Any, Iterable, NamedTuple, Protocol

MAX_STATE_BYTES = 4096
"""The largest state that is kept for one session, in bytes."""

MAX_DETAIL_BYTES = 512
"""The longest detail, in bytes of UTF-8."""


class Reason(str, enum.Enum):
    """The machine-readable reason of a failed step; the list is closed."""

    OUT_OF_ORDER = "out_of_order"
    TIMEOUT_TOO_SHORT = "timeout_too_short"
    INTERVAL_NOT_KEPT = "interval_not_kept"
    RULE_BROKEN = "rule_broken"


class FaultKind(enum.IntEnum):
    """The kinds of faults in the reply to a step."""

    DELAY = 1
    WITHHOLD = 2
    LATE = 3
    RESET = 4
    DUPLICATE = 5
    SPLIT = 6
    WRONG_ID = 7
    WRONG_CODE = 8


class Input(enum.IntEnum):
    """An input that a validator can declare; the state is always given."""

    POSITION = 1
    """Session.position."""
    STEPS = 2
    """Session.steps."""
    STEP_ID = 3
    """Step.id."""
    TIMEOUT = 4
    """Step.timeout."""
    INTERVAL = 5
    """Step.interval."""
    AT = 6
    """Step.at. It differs at every step, so verdicts are not reused."""
    GAP = 7
    """Step.gap. Verdicts are not reused, as with AT."""
    DATA = 8
    """Step.data."""


class Fault(NamedTuple):
    """Deliberate misbehaviour of the agent, if its config allows faults."""

    kind: FaultKind
    delay: float = 0.0
    """Seconds, for DELAY, LATE and SPLIT."""
    step_id: int = 0
    """For WRONG_ID."""
    code: int = 0
    """For WRONG_CODE."""


class Undecided(Exception):
    """Raised by a validator that cannot judge; the text gives the reason.

    The step takes no position and may be sent again. A step that breaks
    the rule is a fail instead, even if its values are invalid.
    """


class BadData(Exception):
    """The data of a step is not a JSON object.

    If the validator does not catch it, the step fails with RULE_BROKEN.
    """


class Malformed(Exception):
    """A verdict is malformed: the agent would refuse it."""


class Session(NamedTuple):
    """The session of a step, as it was before the step."""

    id: str
    """Always empty: the agent does not send session names to plugins."""
    position: int
    """How many steps of the session have been judged; 0 at the first."""
    steps: int
    """The number of steps after which the session ends."""
    state: bytes = b""
    """The state of this validator's last verdict for the session."""


class Step(NamedTuple):
    """One request of a client. Times are in seconds, None if absent."""

    id: int
    """The step_id, any integer of 64 bits."""
    timeout: float | None = None
    """How long the client waits for the reply, as it declares."""
    interval: float | None = None
    """How long the client will wait before its next step, as it declares."""
    at: float = 0.0
    """The time since the arrival of the session's first step."""
    gap: float | None = None
    """The time between the last step and this one, measured by the agent;
    None at the first step."""
    data: bytes = b""
    """The JSON object in the request's field data, as sent."""

    def fields(self) -> dict[str, Any]:
        """Return the data as a dict, which is empty if there is none.

        Raises BadData if the data is not a JSON object.
        """
        if not self.data:
            return {}
        try:
            fields = json.loads(self.data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BadData("the data is no JSON object") from error
        if not isinstance(fields, dict):
            raise BadData("the data is no JSON object")
        return fields


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class Verdict(NamedTuple):
    """The result for one step. Make one with passed or failed."""

    reason: Reason | None = None
    """The reason of a failed step; None for a pass."""
    detail: str = ""
    """One sentence for a person: lower case, no full stop."""
    state: bytes = b""
    """Passed back at the session's next step; replaces the last one."""
    fault: Fault | None = None

    def check(self) -> None:
        """Raise Malformed if the agent would refuse the verdict."""
        if self.reason is None and self.detail:
            raise Malformed("detail: only a fail has one")
        if self.reason is not None and not isinstance(self.reason, Reason):
            raise Malformed(f"reason: {self.reason!r:.80} is no Reason")
        if not isinstance(self.detail, str):
            raise Malformed("detail: want a str")
        try:
            size = len(self.detail.encode())
        except UnicodeEncodeError as error:
            raise Malformed("detail: no valid Unicode") from error
        if size > MAX_DETAIL_BYTES:
            raise Malformed(f"detail: {size} bytes, at most "
                            f"{MAX_DETAIL_BYTES} are allowed")
        if not isinstance(self.state, bytes):
            raise Malformed("state: want bytes")
        if len(self.state) > MAX_STATE_BYTES:
            raise Malformed(f"state: {len(self.state)} bytes, at most "
                            f"{MAX_STATE_BYTES} are allowed")


def passed(state: bytes = b"", fault: Fault | None = None) -> Verdict:
    """Return a pass; the state is passed back at the next step."""
    return Verdict(state=state, fault=fault)


def failed(reason: Reason, detail: str, state: bytes = b"",
           fault: Fault | None = None) -> Verdict:
    """Return a fail; the state is passed back at the next step."""
    return Verdict(reason, detail, state, fault)


ALL_INPUTS = frozenset(Input)
"""The inputs of a validator that has no method reads."""


def declared(validator: Any) -> frozenset[Input] | None:
    """Return the declared inputs of a validator; None if it has no reads.

    Raises TypeError if reads returns anything but inputs.
    """
    reads = getattr(validator, "reads", None)
    if reads is None:
        return None
    if not callable(reads):
        raise TypeError(f"want a method, got {reads!r:.80}")
    inputs: Iterable[Input] = reads()
    try:
        listed = list(inputs)
    except TypeError as error:
        raise TypeError("want an iterable of Input, "
                        f"got {inputs!r:.80}") from error
    for one in listed:
        if not isinstance(one, Input):
            raise TypeError(f"want an iterable of Input, got {one!r:.80} "
                            "in it")
    return frozenset(listed)


class Validator(Protocol):
    """Judges steps.

    validate is a pure function of its arguments: it reads no clock, opens
    no connection and keeps nothing between calls. What it needs at the
    next step of the session it returns as the verdict's state. The agent
    may stop the process at any time and call another one again, or call
    twice and compare. Many threads call validate at once.

    A validator may also have a method expects(session) that returns the
    step id that must come next, or None. The agent uses it to find the
    session of a client that opens a connection for each step.

    It may also have a method reads() that returns the inputs of validate
    and expects, such as [Input.STEP_ID, Input.DATA]. It is called once,
    after the validator is made. The agent then sends these inputs only,
    and may reuse a verdict for equal inputs: most steps then need no call.
    An input that is not declared is absent: 0, None or b"". Without reads,
    the agent sends all inputs and calls validate at every step.
    """

    def validate(self, session: Session, step: Step) -> Verdict:
        """Judge one step."""
