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
    """The machine-readable word for a step that fails: a closed list."""

    OUT_OF_ORDER = "out_of_order"
    TIMEOUT_TOO_SHORT = "timeout_too_short"
    INTERVAL_NOT_KEPT = "interval_not_kept"
    RULE_BROKEN = "rule_broken"


class FaultKind(enum.IntEnum):
    """What a fault does to the reply of a step."""

    DELAY = 1
    WITHHOLD = 2
    LATE = 3
    RESET = 4
    DUPLICATE = 5
    SPLIT = 6
    WRONG_ID = 7
    WRONG_CODE = 8


class Input(enum.IntEnum):
    """What a validator can declare to read, beside its state."""

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
    """Step.at. No two steps have the same: every step is asked."""
    GAP = 7
    """Step.gap. Every step is asked, as with AT."""
    DATA = 8
    """Step.data."""


class Fault(NamedTuple):
    """Misbehaviour asked of the agent, where its config allows faults."""

    kind: FaultKind
    delay: float = 0.0
    """Seconds, for DELAY, LATE and SPLIT."""
    step_id: int = 0
    """For WRONG_ID."""
    code: int = 0
    """For WRONG_CODE."""


class Undecided(Exception):
    """Raised by a validator that cannot judge; its text says why.

    The step then takes no position and may be sent again. A step that
    breaks the rule, however strange its values, is a verdict and never
    this.
    """


class BadData(Exception):
    """The data of a step is no JSON object.

    Where a validator lets it pass, the step fails with RULE_BROKEN.
    """


class Malformed(Exception):
    """A verdict has not the form that the agent takes."""


class Session(NamedTuple):
    """What the agent knows of a run before the step at hand."""

    id: str
    """Always empty: the agent sends the name of a session to no plugin."""
    position: int
    """How many steps of the session have been judged; 0 at the first."""
    steps: int
    """After how many steps the session ends."""
    state: bytes = b""
    """What this validator returned in its last verdict for the session."""


class Step(NamedTuple):
    """One request of a client. Times are seconds, None where absent."""

    id: int
    """The step_id, any integer of 64 bits."""
    timeout: float | None = None
    """How long the client says it waits for the reply."""
    interval: float | None = None
    """How long the client says it will wait before its next step."""
    at: float = 0.0
    """When the step arrived, from the session's first step on."""
    gap: float | None = None
    """How long the client let pass before this step, as measured by the
    agent; None at the first step."""
    data: bytes = b""
    """The JSON object that the client sent along, as it was sent."""

    def fields(self) -> dict[str, Any]:
        """Return the data as a dict, an empty one when there is none.

        Raises BadData where it is no JSON object.
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
    """What a validator says of one step. Make one with passed or failed."""

    reason: Reason | None = None
    """Why the step fails; None for one that passes."""
    detail: str = ""
    """One sentence for a person: lower case, no full stop."""
    state: bytes = b""
    """Handed back at the session's next step; replaces the old one."""
    fault: Fault | None = None

    def check(self) -> None:
        """Raise Malformed where the agent could not take the verdict."""
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
    """Return the verdict of a step that keeps the rule."""
    return Verdict(state=state, fault=fault)


def failed(reason: Reason, detail: str, state: bytes = b"",
           fault: Fault | None = None) -> Verdict:
    """Return the verdict of a step that breaks the rule."""
    return Verdict(reason, detail, state, fault)


ALL_INPUTS = frozenset(Input)
"""What a validator is sent that does not declare what it reads."""


def declared(validator: Any) -> frozenset[Input] | None:
    """Return what a validator declares to read; None for no declaration.

    Raises TypeError where it returns something else than inputs.
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
    no connection and remembers nothing between calls; what it wants to
    know at the next step of the session it returns as the verdict's state.
    The agent may stop the process at any moment and ask again in another,
    or ask twice and compare. It is called by many threads at once.

    A validator may also have a method expects(session) that returns the
    step id that must come next, or None. The agent uses it to find the
    session of a client that opens a connection for each step.

    And it may have a method reads() that returns the inputs that validate
    and expects look at, such as [Input.STEP_ID, Input.DATA]. It is asked
    once, when the validator has been made. The agent then sends no others,
    and for the same inputs it may use a verdict again that it was given
    before, so that most steps cost no call at all. An input that was not
    declared is absent: 0, None or b"". Without reads, everything is sent
    and every step is asked.
    """

    def validate(self, session: Session, step: Step) -> Verdict:
        """Judge one step."""
