"""Write validators for stepagent in Python.

A validator is an object with one method, validate(session, step), that
returns a Verdict. serve(plugin) makes a plugin of it: a program that an
agent starts as a process of its own and asks about steps. See README.md
for the law that a validator keeps, and template.py for one to begin with.

It needs Python 3.11 and Debian's python3-grpcio and python3-protobuf.
"""

from .contract import (
    MAX_DETAIL_BYTES,
    MAX_STATE_BYTES,
    BadData,
    Fault,
    FaultKind,
    Input,
    Reason,
    Session,
    Step,
    Undecided,
    Validator,
    Verdict,
    failed,
    passed,
)
from .plugin import Kind, Plugin, serve
from .settings import Settings, SettingError, SettingErrors

__all__ = [
    "BadData",
    "Fault",
    "FaultKind",
    "Input",
    "Kind",
    "MAX_DETAIL_BYTES",
    "MAX_STATE_BYTES",
    "Plugin",
    "Reason",
    "Session",
    "SettingError",
    "SettingErrors",
    "Settings",
    "Step",
    "Undecided",
    "Validator",
    "Verdict",
    "failed",
    "passed",
    "serve",
]
