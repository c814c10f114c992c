"""How much is done to understand one reply: its cost is a multiple of its length, and bounded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Effort", "effort", "left"]

_PARSED = 500_000
"""Characters that are parsed as Python for one reply, its own many times, before that ends."""
_SCANNED = 1_000_000
"""Characters that are looked through for strings, beside ten times the reply."""
_NESTED = 8
"""Blocks within blocks that are looked into."""


class Effort:
    """What may still be done for one reply; what was parsed last is kept, for it is asked twice."""

    def __init__(self, length: int = 0) -> None:
        self.parse = _PARSED
        self.scan = _SCANNED + 10 * length
        self.nested = _NESTED
        self.last: tuple[str, ast.Module | None] = "", None


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


@contextmanager
def effort(length: int) -> Iterator[None]:
    """Bound what is done for a text of this length; a bound that is set already goes on."""
    token = _current.set(left(length))
    try:
        yield
    finally:
        _current.reset(token)


def left(length: int = 0) -> Effort:
    """Return what may still be done."""
    return _current.get() or Effort(length)
