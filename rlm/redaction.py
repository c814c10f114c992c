"""Known secrets, and how they are taken out of text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Redactor"]

_LOOKS_SECRET = re.compile(r"(?:_KEY|_TOKEN|_SECRET|_PASSWORD|_CREDENTIALS)$|^(?:API_?KEY|TOKEN)$")
_SHORTEST = 8  # shorter values are words that may stand anywhere


class Redactor:
    """A function of text that puts a stable placeholder where a known secret stands.

    `secrets` maps a name to its value; the placeholder is `[redacted:NAME]`. Values of fewer than
    8 characters are not taken for secrets.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._names: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets or {})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Redactor:
        """Know the values of all variables whose names say that they hold a secret."""
        return cls({k: v for k, v in environment.items() if _LOOKS_SECRET.search(k.upper())})

    @property
    def knows_secrets(self) -> bool:
        """Whether there is anything to take out."""
        return self._pattern is not None

    def add(self, secrets: Mapping[str, str]) -> None:
        """Know further secrets."""
        for name, value in secrets.items():
            if len(value) >= _SHORTEST:
                self._names.setdefault(value, name)
        if self._names:
            longest_first: Iterable[str] = sorted(self._names, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Return the text with a placeholder in the place of each secret."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[redacted:{self._names[found.group()]}]", text)
