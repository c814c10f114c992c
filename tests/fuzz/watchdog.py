"""An end to what hangs: a bound far above what any case takes, so that a hang is a failure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Hang", "watched"]


class Hang(BaseException):
    """A case has taken so long that it has no end; nothing that is tested may catch it."""


@contextmanager
def watched(seconds: float = 30) -> Iterator[None]:
    """Raise Hang in what goes on for longer."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _ring(number: int, frame: Any) -> None:
    raise Hang("this case hangs")
