"""Reading a validator's settings: the table in the agent's config."""

from __future__ import annotations

import math
from typing import Any, Mapping


class SettingError(Exception):
    """One key of the settings is wrong.

    The agent shows the problem with the place of the key in its config.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}" if key else problem)
        self.key = key
        self.problem = problem


class SettingErrors(Exception):
    """Several keys of the settings are wrong."""

    def __init__(self, errors: list[SettingError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors


class Settings:
    """Reads values and collects errors, which finish raises at once.

        s = Settings(settings)
        limit = s.number("limit", default=5, minimum=0, unit="newton metres")
        s.finish()
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._known: dict[str, None] = {}  # in the order of reading
        self._errors: list[SettingError] = []

    def number(self, key: str, default: float | None = None, *,
               minimum: float = -math.inf, maximum: float = math.inf,
               unit: str = "") -> float:
        """Return a number; without a default the key is required."""
        what = f"a number of {unit}" if unit else "a number"
        value = self._value(key, default, what)
        if value is None:
            return minimum if math.isfinite(minimum) else 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong(key, f"want a number, got {_kind(value)}")
            return 0.0
        if not minimum <= value <= maximum:
            self.wrong(key, f"want {_range(minimum, maximum)}, got {value}")
        return float(value)

    def whole(self, key: str, default: int | None = None, *,
              minimum: float = -math.inf, maximum: float = math.inf) -> int:
        """Return a whole number; without a default the key is required."""
        value = self._value(key, default, "a whole number")
        if value is None:
            return int(minimum) if math.isfinite(minimum) else 0
        if isinstance(value, bool) or not isinstance(value, int):
            got = value if isinstance(value, float) else _kind(value)
            self.wrong(key, f"want a whole number, got {got}")
            return 0
        if not minimum <= value <= maximum:
            self.wrong(key, f"want {_range(minimum, maximum)}, got {value}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default the key is required."""
        value = self._value(key, default, "a string")
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(key, f"want a string, got {_kind(value)}")
            return ""
        return value

    def value(self, key: str, default: Any = None) -> Any:
        """Return a value of any type, such as a list, without checking it."""
        self._known[key] = None
        return self._settings.get(key, default)

    def wrong(self, key: str, problem: str) -> None:
        """Add an error: what is wrong with a key, and what to do."""
        self._errors.append(SettingError(key, problem))

    def finish(self) -> None:
        """Raise the collected errors, with one for each unknown key."""
        for key in self._settings:
            if key not in self._known:
                self.wrong(key, "unknown key; " + self._keys())
        if self._errors:
            raise SettingErrors(self._errors)

    def _keys(self) -> str:
        if not self._known:
            return "there are no settings"
        return "the keys here are " + ", ".join(self._known)

    def _value(self, key: str, default: Any, what: str) -> Any:
        self._known[key] = None
        value = self._settings.get(key)
        if value is None:
            value = default
        if value is None:
            self.wrong(key, f"required: {what}")
        return value


def _range(minimum: float, maximum: float) -> str:
    if math.isinf(maximum):
        return f"at least {minimum:g}"
    if math.isinf(minimum):
        return f"at most {maximum:g}"
    return f"{minimum:g} to {maximum:g}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    return "a table"
