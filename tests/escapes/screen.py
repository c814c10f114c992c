"""What a terminal would obey in a text, and what breaks a log of lines."""

from __future__ import annotations

import json
import re

__all__ = ["harms_of", "log_harms", "terminal_harms"]

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]|\r(?!\n)|[\U000e0000-\U000e007f]"
)


def terminal_harms(shown: str) -> list[str]:
    """Return what a terminal would obey in what is shown on it."""
    found = _OBEYED.search(shown)
    return [] if found is None else [f"a terminal was sent {found.group()!a} raw"]


def log_harms(log: str) -> list[str]:
    """Return whether a log is something else than lines of strict JSON, however one cuts it."""
    for line in log.splitlines():
        try:
            json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return ["a line of the log is no JSON"]
    try:
        log.encode("utf-8")
    except UnicodeEncodeError:
        return ["the log is no UTF-8"]
    return []


def harms_of(shown: str, kept: str) -> list[str]:
    """Return what a careless host does with an output: it shows and keeps it as it is."""
    return terminal_harms(shown) + log_harms(json.dumps({"stdout": kept}, ensure_ascii=False))


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
