"""Lists, dicts and records out of texts that write them: as JSON or as Python literals."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from rlm.signature.scalars import Refused

__all__ = ["TooLong", "bounded", "count_change", "read", "unbounded"]

_LONGEST = 1_000_000
"""Characters that are read for the values they write; what is to be a text has no bound."""
_LONGEST_LITERAL = 100_000
"""Characters of one Python literal: its syntax tree takes hundreds of bytes for each."""
_MOST_CHANGES = 300_000
"""Values that are made into what a type asks for; of those that are it there is no bound."""
_LANGUAGE = re.compile(r"[\w-]*")


class TooLong(Refused):
    """A text is too long to be read for the value that it writes, or values are too many."""


@dataclass(slots=True)
class _Allowance:
    """Characters that may still be read, those that one literal may have, values to change."""

    left: float = _LONGEST
    literal: float = _LONGEST_LITERAL
    changes: float = _MOST_CHANGES

    def spend(self, characters: int, meant: str) -> None:
        self.left -= characters
        if self.left < 0:
            raise TooLong(
                f"texts of more than {_LONGEST:,} characters are not read for their values: "
                f"submit {meant} itself, not its text"
            )

    def check_literal(self, characters: int, meant: str) -> None:
        if characters > self.literal:
            raise TooLong(
                f"a text that is no JSON and has more than {_LONGEST_LITERAL:,} characters is not "
                f"read for its value: submit {meant} itself, not its text"
            )


_allowance: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


def bounded() -> AbstractContextManager[None]:
    """Read so much and no more, unless a bound is set already."""
    return nullcontext() if _allowance.get() else _allowing(_Allowance())


def unbounded() -> AbstractContextManager[None]:
    """Read texts of any size: they are the caller's own."""
    return _allowing(_Allowance(*3 * [float("inf")]))


@contextmanager
def _allowing(allowance: _Allowance) -> Iterator[None]:
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)


def count_change() -> None:
    """Count a value that is not yet what its type asks for; raises TooLong for one too many."""
    allowance = _allowance.get() or _Allowance()
    allowance.changes -= 1
    if allowance.changes < 0:
        raise TooLong(
            f"more than {_MOST_CHANGES:,} values are of other types than are asked for: submit "
            "them as the type says"
        )


def read(text: str, meant: str) -> Any:
    """Return the container that a text writes as JSON or as a Python literal, or `None`.

    Raises TooLong where that would keep everybody waiting; `meant` is what the text is to be.
    """
    allowance = _allowance.get() or _Allowance()
    allowance.spend(len(text), meant)
    inner = _unfenced(text.strip())
    if not inner.startswith(("[", "{", "(")):
        return None
    try:
        return json.loads(inner)
    except (ValueError, RecursionError):
        pass
    allowance.check_literal(len(inner), meant)
    try:
        made = ast.literal_eval(inner)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return made if isinstance(made, list | tuple | dict | set) else None


def _unfenced(text: str) -> str:
    """Take off the fence around a text; each character is looked at once."""
    if len(text) < 7 or not (text.startswith("```") and text.endswith("```")):
        return text
    language, line_end, body = text[3:-3].partition("\n")
    return body.strip() if line_end and _LANGUAGE.fullmatch(language.rstrip()) else text
