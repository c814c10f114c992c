"""Secrets for the user's own code in a container: named, checked, and read when one is made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from rlm.errors import ConfigurationError

__all__ = ["Source", "checked", "contents"]

Source = str | os.PathLike[str] | Callable[[], str]
"""The absolute path of a file that holds a secret, or a function that returns it."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MOST_BYTES = 1 << 20


def checked(given: Mapping[str, Source]) -> dict[str, Source]:
    """Return the secrets' sources by name, or raise ConfigurationError.

    No message shows what was given: it might be the secret itself.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "secrets: give a dict of names and files, as in {'TOKEN': '/path'}"
        )
    for name, source in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError("secrets: a name has letters, digits, '_', '-' and '.' only")
        path = isinstance(source, (str, os.PathLike)) and os.path.isabs(source)
        if not path and not callable(source):
            raise ConfigurationError(
                f"secrets[{name!r}]: give the absolute path of a file, or a function that returns"
                " the secret; never the secret itself"
            )
    return dict(given)


def contents(secrets: Mapping[str, Source]) -> dict[str, bytes]:
    """Read the secrets, or raise ConfigurationError."""
    return {name: _content(name, source) for name, source in secrets.items()}


def _content(name: str, source: Source) -> bytes:
    if callable(source):
        value = source()
        if not isinstance(value, str):
            raise ConfigurationError(f"secrets[{name!r}]: its function returns no text")
        return value.encode("utf-8")
    try:
        with open(source, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"secrets[{name!r}]: its file cannot be read: {error.strerror}"
        ) from None
    if len(content) > _MOST_BYTES:
        raise ConfigurationError(f"secrets[{name!r}]: its file is larger than a secret is (1 MiB)")
    return content
