#!/usr/bin/python3
"""An example: the measured torque is correct and stable.

The data of each step must have a torque within a tolerance of the target
in the settings, and all torques of a session must be close together.
"""

import struct
from typing import Any, Iterable, Mapping, NamedTuple

from stepagent_validator import (
    Input, Kind, Plugin, Reason, Session, Settings, Step, Undecided, Verdict,
    failed, passed, serve,
)

VERSION = "1.0.0"
MAX_TORQUE = 1e6  # newton metres

# The state begins with its version: another release of this file may get
# it in an open session.
FORM = struct.Struct(">Bdd")


class Extremes(NamedTuple):
    """The smallest and the largest torque of a session so far."""

    low: float
    high: float

    def state(self) -> bytes:
        return FORM.pack(1, self.low, self.high)

    @classmethod
    def read(cls, state: bytes) -> "Extremes | None":
        if not state:
            return None
        if len(state) != FORM.size or state[0] != 1:
            raise Undecided("the session's state is not that of this "
                            "validator; begin a new session")
        _, low, high = FORM.unpack(state)
        return cls(low, high)


class Torque:
    """Judges data.torque, in newton metres."""

    def __init__(self, target: float, tolerance: float,
                 spread: float) -> None:
        self.target = target
        self.tolerance = tolerance
        self.spread = spread

    def reads(self) -> Iterable[Input]:
        """Declare the torque; the state is always given."""
        return [Input.DATA]

    def validate(self, session: Session, step: Step) -> Verdict:
        before = Extremes.read(session.state)
        torque = step.fields().get("torque")
        if isinstance(torque, bool) or not isinstance(torque, (int, float)):
            return failed(Reason.RULE_BROKEN,
                          "data has no number torque", session.state)
        if not -MAX_TORQUE <= torque <= MAX_TORQUE:  # infinite, for one
            return failed(Reason.RULE_BROKEN,
                          f"the torque is beyond {MAX_TORQUE:g} Nm",
                          session.state)
        torque = float(torque)
        now = Extremes(torque, torque)
        if before is not None:
            now = Extremes(min(before.low, torque), max(before.high, torque))
        if abs(torque - self.target) > self.tolerance:
            return failed(
                Reason.RULE_BROKEN,
                f"torque {torque:g} Nm is not within {self.tolerance:g} Nm "
                f"of {self.target:g} Nm", now.state())
        if now.high - now.low > self.spread:
            return failed(
                Reason.RULE_BROKEN,
                f"the torques of this session go from {now.low:g} to "
                f"{now.high:g} Nm, more than {self.spread:g} Nm apart",
                now.state())
        return passed(now.state())


def make(settings: Mapping[str, Any]) -> Torque:
    """Make a validator from the settings."""
    s = Settings(settings)
    target = s.number("newton_metres", minimum=0, unit="newton metres")
    tolerance = s.number("tolerance", default=0.5, minimum=0)
    spread = s.number("spread", default=2 * tolerance, minimum=0)
    s.finish()
    return Torque(target, tolerance, spread)


if __name__ == "__main__":
    serve(Plugin("torque", VERSION, [
        Kind("torque", VERSION, "the measured torque is right", make),
    ]))
