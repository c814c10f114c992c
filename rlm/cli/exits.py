"""Exit codes, and how a failure of the command itself becomes one with a clear line."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from rlm.result import Result

__all__ = [
    "FAILURE",
    "INTERRUPTED",
    "MISUSE",
    "NEEDS_REVIEW",
    "OK",
    "complain",
    "debugging",
    "exit_code",
    "write_plain",
]

OK = 0
FAILURE = 1
"""The run ended without an answer, or a check failed."""
MISUSE = 2
"""What was asked for is impossible: a bad flag, no such file or model, a missing key."""
NEEDS_REVIEW = 3
"""There is an output, and a person should look at it."""
INTERRUPTED = 130


def exit_code(result: Result[Any]) -> int:
    """Return the code that tells what the caller of a run has."""
    if result.ok:
        return OK
    if result.needs_review:
        return NEEDS_REVIEW
    return INTERRUPTED if result.status == "aborted" else FAILURE


def complain(message: str, hint: str = "") -> None:
    """Write an error, in one or two lines, to stderr."""
    from rlm.sinks.wording import one_line

    _tell(f"rlm: {one_line(message)}\n" + (f"{hint}\n" if hint else ""))


def write_plain(text: str) -> None:
    """Write lines to stderr, with nothing in them that a terminal would obey."""
    from rlm.sinks.wording import plain

    _tell(plain(text) + "\n")


def _tell(text: str) -> None:
    """Write to stderr; where nobody reads it, the exit code alone has to tell."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("RLM_DEBUG", "") not in ("", "0")
