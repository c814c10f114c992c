"""What a session in this process is given: immutable values themselves, all others as copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm.guest.files import File
from rlm.guest.values import NotPortable, decode, encode
from rlm.sandbox._inputs import VariableBlobs

__all__ = ["Given", "SealedFile"]

_IMMUTABLE = (str, bytes, int, float, bool, type(None))


class SealedFile(File):
    """A File that a cell can read, and neither make nor point elsewhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("a cell cannot make a File; its files are among the inputs")

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be copied; it is the same everywhere")


def _sealed(
    entry: Mapping[str, Any], fd: int, room: int | None, ref: str, reads: list[str]
) -> SealedFile:
    """Return the file of an entry; no method, since a cell could call that."""
    made = SealedFile.__new__(SealedFile)
    File.__init__(made, entry["name"], entry["type"], entry["size"], fd, room, ref, reads)
    return made


class Given:
    """A value that sessions get, each its own copy; `label` names it in the error when it cannot.

    Raises NotPortable. The descriptors of files in it are open until `close`.
    """

    def __init__(self, label: str, value: Any) -> None:
        self.value = value
        self._tree: Any = None
        self._blob = b""
        self._blobs = VariableBlobs(label, apart=False)
        self._files: list[SealedFile] = []
        if type(value) in _IMMUTABLE:
            return
        try:
            self._tree = encode(value, self._blobs)
        except NotPortable as error:
            self.close()
            raise NotPortable(f"{label}: {error}") from None
        self._blob = b"".join(self._blobs.pieces)
        self._blobs.pieces.clear()

    @property
    def files(self) -> Mapping[str, Any]:
        """The files in it, by what a cell's copies refer to them."""
        return self._blobs.files

    def copy(self, memory_mb: int | None, reads: list[str]) -> Any:
        """Return what a cell sees; a file in it reads at most `memory_mb` at once.

        A file's reference goes to `reads` when it is read for the first time.
        """
        if type(self.value) in _IMMUTABLE:
            return self.value
        room = None if memory_mb is None else memory_mb << 20
        refs, made = list(self._blobs.files), dict[int, SealedFile]()

        def open_file(entry: Mapping[str, Any]) -> SealedFile:
            number = entry["fd"]
            if number not in made:
                fd = self._blobs.fds[number]
                made[number] = _sealed(entry, fd, room, refs[number], reads)
                self._files.append(made[number])
            return made[number]

        return decode(self._tree, self._blob, None, open_file)

    def close(self) -> None:
        """Close the files in it."""
        for file in self._files:
            file._fd = -1  # a thread that was left behind must not read what is opened next
        self._blobs.close()
