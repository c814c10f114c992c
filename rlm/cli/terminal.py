"""Where a command writes: answers to stdout, everything about them to stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rlm.sinks.wording import plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["error_console", "output_console", "without_warnings", "write_json", "write_text"]

_UNSAFE_IN_JSON = re.compile(
    r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def output_console() -> Console:
    """Return a console on stdout; rich honours NO_COLOR and what is no terminal."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def error_console() -> Console:
    """Return a console on stderr."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keep the logger `rlm` from warning, where nobody wants to hear it or all is told anyway."""
    log = logging.getLogger("rlm")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def write_text(text: str) -> None:
    """Write text from a model to stdout: exactly, or without what a terminal would obey."""
    shown = plain(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """Write a value as JSON to stdout, with nothing in it that a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    safe = _UNSAFE_IN_JSON.sub(lambda found: json.dumps(found.group())[1:-1], text)
    sys.stdout.write(safe + "\n")
    sys.stdout.flush()
