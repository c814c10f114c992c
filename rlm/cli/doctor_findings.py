"""What a doctor finds: one thing that was looked at, its state, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "examined"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, `note` (worth knowing) or `bad` (runs will fail).

    `how` says what to do about it, with the command to run; `""` where nothing has to be done.
    """

    state: Literal["ok", "note", "bad"]
    name: str
    text: str
    how: str = ""


def examined(
    parts: Mapping[str, Callable[[], Iterable[Finding]]], broken: Literal["note", "bad"] = "bad"
) -> list[Finding]:
    """Look at everything, each part by itself: one that breaks is a finding, not the end."""
    found: list[Finding] = []
    for name, look in parts.items():
        try:
            found += look()
        except Exception as error:  # whatever breaks here is what a doctor is asked about
            found.append(Finding(broken, name, f"{type(error).__name__}: {error}"))
    return found
