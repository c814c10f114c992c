"""Known secrets, and how they are taken out of text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Redactor"]

_NAMES_SECRET = re.compile(r"(?:_KEY|_TOKEN|_SECRET|_PASSWORD|_CREDENTIALS)$|^(?:API_?KEY|TOKEN)$")
_WORD = re.compile(r"[A-Z]?[a-z]*")
_BETWEEN = re.compile(r"[\W_]+")
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
        """Know the values of all variables whose names say that they hold a secret.

        A value of plain words (`DB_PASSWORD=postgres`) is left alone: it would be taken out of
        code and prose where it means something else. Whoever wants it out names it in `secrets=`.
        """
        return cls(
            {
                name: value
                for name, value in environment.items()
                if _NAMES_SECRET.search(name.upper()) and not _is_plain(value)
            }
        )

    @property
    def knows_secrets(self) -> bool:
        """Whether there is anything to take out."""
        return self._pattern is not None

    def add(self, secrets: Mapping[str, str]) -> None:
        """Know further secrets."""
        for name, value in secrets.items():
            if len(value) >= _SHORTEST:
                for form in _forms(value):
                    self._names.setdefault(form, name)
        if self._names:
            longest_first: Iterable[str] = sorted(self._names, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Return the text with a placeholder in the place of each secret."""
        if self._pattern is None or not any(secret in text for secret in self._names):
            return text  # a search for fixed texts is some ten times faster than the pattern
        return self._pattern.sub(lambda found: f"[redacted:{self._names[found.group()]}]", text)


def _is_plain(value: str) -> bool:
    """Whether a value is made of plain words, or of digits alone."""
    words = _BETWEEN.split(value)
    return all(map(_WORD.fullmatch, words)) or not any(map(str.isalpha, value))


def _forms(value: str) -> set[str]:
    """Return how a secret looks as it is, quoted in code, and either of them inside JSON."""
    plain = {value, repr(value)[1:-1]}
    return plain | {json.dumps(form, ensure_ascii=False)[1:-1] for form in plain}
