"""The port to where logs are kept: append lines, keep blobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["LogWriter"]


class LogWriter(Protocol):
    """One run's log, open for its single writer."""

    @property
    def location(self) -> str:
        """Where the log is, for people and for `Trace.read`."""
        ...

    def append(self, line: bytes) -> None:
        """Write one line; it is out of the process when this returns."""
        ...

    def put_blob(self, pieces: Iterable[bytes]) -> str:
        """Keep content, given in pieces, once under its hash and return `"sha256:…"`."""
        ...

    def close(self) -> None:
        """End the log."""
        ...
