#!/usr/bin/python3
"""A validator to start from: copy it, rename it and write its rule."""

from typing import Any, Iterable, Mapping

from stepagent_validator import (
    Input, Kind, Plugin, Reason, Session, Settings, Step, Verdict, failed,
    passed, serve,
)


class Mine:
    """The step id is no more than the limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def reads(self) -> Iterable[Input]:
        """Declare the inputs of validate; it gets no others."""
        return [Input.STEP_ID]

    def validate(self, session: Session, step: Step) -> Verdict:
        if step.id > self.limit:
            return failed(Reason.RULE_BROKEN,
                          f"step {step.id} is above {self.limit:g}")
        return passed()


def make(settings: Mapping[str, Any]) -> Mine:
    s = Settings(settings)
    limit = s.number("limit", default=10)
    s.finish()
    return Mine(limit)


if __name__ == "__main__":
    serve(Plugin("mine", "0.1.0", [
        Kind("mine", "0.1.0", "the step id is no more than a limit", make),
    ]))
