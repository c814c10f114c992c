"""What a reply may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Action", "Dialect", "Exec", "Final"]

Dialect = Literal["fence", "json", "tags", "plain"]
"""The spelling in which a reply was written; `plain` is an action without any markup."""


@dataclass(frozen=True, slots=True)
class Exec:
    """Run this code. `skipped` counts the further actions of the reply, which are not run."""

    code: str
    reasoning: str = ""
    skipped: int = 0
    dialect: Dialect = "fence"


@dataclass(frozen=True, slots=True)
class Final:
    """End with this value: a text, or what JSON holds when the answer was a JSON object or list."""

    value: Any
    reasoning: str = ""
    skipped: int = 0
    dialect: Dialect = "fence"


Action = Exec | Final
