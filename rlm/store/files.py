"""Logs as files: `<folder>/<run>.jsonl`, and `<folder>/blobs/<sha256>` beside them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rlm.errors import ConfigurationError

__all__ = ["FileLog"]


class FileLog:
    """One run's log as a file, appended line by line with one system call each.

    A killed process loses at most the line that it was writing. Raises ConfigurationError when
    the folder cannot be made or written, before anything is spent.
    """

    def __init__(self, folder: str | os.PathLike[str], run: str) -> None:
        self._folder = Path(folder).expanduser()
        self._path = self._folder / f"{run}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write a log into {str(self._folder)!r}: {error.strerror}; choose another "
                "folder with log_dir=…, or log_dir=None for no log"
            ) from None

    @property
    def location(self) -> str:
        """The path of the file."""
        return str(self._path)

    def append(self, line: bytes) -> None:
        """Write one line."""
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def put_blob(self, pieces: Iterable[bytes]) -> str:
        """Keep content once, under its hash; it is there whole or not at all."""
        blobs = self._folder / "blobs"
        blobs.mkdir(exist_ok=True)
        digest = hashlib.sha256()
        fd, temporary = tempfile.mkstemp(dir=blobs, prefix=".")
        try:
            with os.fdopen(fd, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
            Path(temporary).replace(blobs / digest.hexdigest())
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return f"sha256:{digest.hexdigest()}"

    def close(self) -> None:
        """Close the file; may be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
