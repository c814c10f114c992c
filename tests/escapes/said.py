"""What a cell said, and what is wrong with the form of what a host has taken from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SHARED", "Offered", "Said", "malformed"]

_PLAIN = (str, int, float, bool, bytes, type(None))
_MOST = 5 * 1024 * 1024


SHARED = ("the host stood still", "the host's memory grew")
"""How the harms begin that a case may have from those beside it."""


@dataclass
class Said:
    """All that came out of a cell: texts, and the arguments of the functions that it called."""

    stdout: Any = ""
    stderr: Any = ""
    value: Any = None
    error: Any = ""
    lost: bool = False
    harms: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return everything in one text, to look for secrets."""
        return "\n".join(map(str, (self.stdout, self.stderr, self.value, self.error)))


class Offered(dict[str, Any]):
    """The functions that a host offers to cells; `hidden` is there, and not offered.

    `heard` is what arrived, as text, as far as it is not long; `bill` is what the run has spent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard = ""
        self._odd: list[str] = []
        self.bill = 1.0
        self.revealed: list[str] = []
        self.answered: dict[str, int] = {}

    def take(self, *arguments: Any) -> None:
        """Look at the arguments of a call, and let go of them."""
        self._odd += [why] if (why := _odd(arguments)) else []
        if len(self.heard) < _MOST:
            self.heard += _text(arguments)[:_MOST]

    def hidden(self, *args: Any, **named: Any) -> str:
        """Be what no cell may call."""
        self.revealed.append("hidden")
        return "hidden was called"

    def harms(self) -> list[str]:
        """Return what was done through them since the last look."""
        found = []
        if self.revealed:
            found.append("a function of the host that is not offered was called")
        if self.bill != 1.0:
            found.append("the bill was changed")
        found += [f"the host took {why}" for why in self._odd]
        self.heard, self._odd, self.revealed, self.bill = "", [], [], 1.0
        return list(dict.fromkeys(found))


def _text(arguments: Any) -> str:
    """Return what arrived in a call as text; what cannot be text is told as malformed elsewhere."""
    try:
        return repr(arguments)
    except (ValueError, RecursionError):
        return ""


def _odd(value: Any, depth: int = 0) -> str:
    """Return what is wrong with an argument that was decoded on the host; empty when nothing."""
    if depth > 300:
        return "a value that is nested without end"
    if type(value) in (list, tuple, set, frozenset):
        return next((why for item in value if (why := _odd(item, depth + 1))), "")
    if type(value) is dict:
        inner = [*value.keys(), *value.values()]
        return next((why for item in inner if (why := _odd(item, depth + 1))), "")
    if type(value).__module__ in (
        "builtins",
        "datetime",
        "decimal",
        "uuid",
        "pathlib",
        "fractions",
    ):
        return "" if type(value) in _PLAIN or type(value).__module__ != "builtins" else _kind(value)
    if type(value).__module__.startswith(("rlm.", "numpy", "pandas")):
        return ""
    return _kind(value)


def _kind(value: Any) -> str:
    if type(value) in (complex, range, slice, bytearray, type(...)):
        return ""
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


def malformed(told: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the form of an execution: types, bounds, counts that lie."""
    found = []
    for name in ("stdout", "stderr"):
        if not isinstance(told.get(name), str) or len(told[name]) > _MOST:
            found.append(f"a host accepted {name} that is no text, or has no bound")
    for name in ("stdout_chars", "stderr_chars"):
        count = told.get(name)
        if type(count) is not int or count < 0:
            found.append(f"a host accepted {name}={count!r:.50}")
    value = told.get("value")
    if value is not None and (not isinstance(value, str) or len(value) > _MOST):
        found.append("a host accepted a value that is no text, or has no bound")
    seconds = told.get("seconds", 0.0)
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds) or seconds < 0:
        found.append(f"a host accepted seconds={seconds!r:.50}")
    for one in told.get("variables") or ():
        texts = [one[0], one[1], one[3]] if len(one) == 4 else [None]
        if not all(isinstance(text, str) and len(text) <= 2000 for text in texts):
            found.append("a host accepted a variable that is none")
            break
    return found
