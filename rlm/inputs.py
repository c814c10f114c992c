"""The inputs of a run: what is checked of them at the start, and how large ones are kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rlm import events
from rlm.errors import ConfigurationError
from rlm.files import File
from rlm.limits import Limits
from rlm.prompt import describe
from rlm.tools.base import Tool
from rlm.trace import Trace

__all__ = ["check_limits", "check_names", "keep_large"]

_PIECE = 1 << 20


_NEEDED = frozenset(("submit", "llm_query", "parallel_queries", "predict", "parallel_predict"))
_OWN = _NEEDED | {"budget", "history", "log"}


def check_names(inputs: Iterable[str], tools: Iterable[Tool]) -> None:
    """Raise ConfigurationError when an input or a tool would hide what cells need by that name."""
    given = set(inputs)
    for name in sorted(given & _NEEDED):
        raise ConfigurationError(
            f"an input called {name!r} would hide the function of that name: rename it"
        )
    for name in (tool.name for tool in tools):
        if name in _OWN or name in given:
            other = "function" if name in _OWN else "input"
            raise ConfigurationError(
                f"a tool called {name!r} would hide the {other} of that name: rename it"
            )


def check_limits(inputs: Mapping[str, Any], limits: Limits) -> None:
    """Raise ConfigurationError when the inputs are more or larger than the limits allow."""
    if limits.max_files is not None or limits.max_file_bytes is not None:
        _check_files(
            [pair for name, value in inputs.items() for pair in _files(name, value)], limits
        )
    if limits.max_input_bytes is not None:
        total = sum(_size(value) for value in inputs.values())
        if total > limits.max_input_bytes:
            raise ConfigurationError(
                f"the inputs have {total:,} bytes; max_input_bytes is {limits.max_input_bytes:,}"
            )


def _check_files(files: list[tuple[str, File]], limits: Limits) -> None:
    if limits.max_files is not None and len(files) > limits.max_files:
        raise ConfigurationError(f"{len(files)} files are given; max_files is {limits.max_files}")
    for name, file in files:
        if limits.max_file_bytes is not None and file.size > limits.max_file_bytes:
            raise ConfigurationError(
                f"the file {name!r} has {file.size:,} bytes; max_file_bytes is "
                f"{limits.max_file_bytes:,}"
            )


def _files(name: str, value: Any) -> Iterator[tuple[str, File]]:
    """Yield the files of an input, also those in lists and dicts, with the place of each."""
    if isinstance(value, File):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _files(f"{name}[{key!r}]", item)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _files(f"{name}[{number}]", item)


def _size(value: Any) -> int:
    if isinstance(value, File):
        return value.size
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return sum(map(_size, value))
    return len(repr(value))


async def keep_large(inputs: Mapping[str, Any], trace: Trace, whole: bool) -> None:
    """Keep each large input with the log, under its hash, while the run goes on.

    A file that has a path is named by path and hash, not copied; with `whole` false so is
    everything else, without a path. What cannot be kept is noted and does not end the run.
    """
    for name, value in inputs.items():
        pieces = _pieces(value, trace.redact)
        if pieces is None:
            continue
        path = str(value.path) if isinstance(value, File) and value.path else ""
        try:
            reference, size = await _in_thread(pieces, trace if whole and not path else None)
        except OSError as error:
            problem = f"the input {name!r} could not be kept with the log: {error}"
            trace.emit(events.Logged, message=problem, level="warning")
        else:
            trace.emit(events.InputStored, name=name, sha256=reference, size=size, path=path)


async def _in_thread(pieces: Iterator[bytes], trace: Trace | None) -> tuple[str, int]:
    counted = _Counted(pieces)
    work: Callable[[], str] = counted.hash if trace is None else lambda: trace.put_blob(counted)
    try:
        return await asyncio.to_thread(work), counted.size
    except asyncio.CancelledError:
        counted.stopped = True  # the thread ends at its next piece
        raise


class _Counted:
    """Pieces of bytes that are counted as they go by, and end early when nobody wants them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.size = 0
        self.stopped = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self.stopped:
                raise InterruptedError("nobody wants the rest")
            self.size += len(piece)
            yield piece

    def hash(self) -> str:
        digest = hashlib.sha256()
        for piece in self:
            digest.update(piece)
        return f"sha256:{digest.hexdigest()}"


def _pieces(value: Any, clean: Callable[[str], str]) -> Iterator[bytes] | None:
    """Return a file, text or bytes in pieces, or `None` for what the trace tells in full.

    A text is cleaned of secrets first, when its first piece is asked for.
    """
    if isinstance(value, File):
        return _read(value)
    if not isinstance(value, (str, bytes, bytearray)) or describe("", value).value is not None:
        return None
    return _cut(value, clean)


def _cut(value: str | bytes | bytearray, clean: Callable[[str], str]) -> Iterator[bytes]:
    whole = clean(value) if isinstance(value, str) else value
    for start in range(0, len(whole), _PIECE):
        piece = whole[start : start + _PIECE]
        yield piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)


def _read(file: File) -> Iterator[bytes]:
    with open(file.open_fd(), "rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
