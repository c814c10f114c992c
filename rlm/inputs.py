"""The inputs of a run: what is checked of them at the start, and how large ones are kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from rlm import events
from rlm.errors import ConfigurationError
from rlm.files import File, located, parts
from rlm.guest.values import Blobs, NotPortable, divided, encode
from rlm.guest.wire import to_json
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
            [pair for name, value in inputs.items() for pair in located(name, value)], limits
        )
    if limits.max_input_bytes is not None:
        total = sum(_size(value) for value in inputs.values())
        if total > limits.max_input_bytes:
            raise ConfigurationError(
                f"the inputs have {total:,} bytes; max_input_bytes is {limits.max_input_bytes:,}: "
                "give less, or raise the limit"
            )


def _check_files(files: list[tuple[str, File]], limits: Limits) -> None:
    if limits.max_files is not None and len(files) > limits.max_files:
        raise ConfigurationError(
            f"{len(files)} files are given; max_files is {limits.max_files}: give fewer, or raise "
            "the limit"
        )
    for name, file in files:
        if limits.max_file_bytes is not None and file.size > limits.max_file_bytes:
            raise ConfigurationError(
                f"the file {name!r} has {file.size:,} bytes; max_file_bytes is "
                f"{limits.max_file_bytes:,}: give a smaller one, or raise the limit"
            )


def _size(value: Any) -> int:
    if isinstance(value, File):
        return value.size
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, _TOLD):
        return len(repr(value))
    held = [item for _, _, item in parts(value)]
    return sum(map(_size, held)) if held else len(repr(value))


async def keep_large(inputs: Mapping[str, Any], trace: Trace, whole: bool) -> None:
    """Keep each large input with the log, under its hash, while the run goes on.

    A file that has a path is named by path and hash, not copied; with `whole` false so is
    everything else, without a path. Files in containers are kept one by one, then the container:
    a line of JSON as it goes into a sandbox, but with a file's reference in the log as its `fd`,
    and after the line the bytes that it points to. What cannot be kept is noted and does not end
    the run.
    """
    keeping = _Keeping(trace, whole)
    for name, value in inputs.items():
        if isinstance(value, File):
            await keeping.file(name, value)
        elif not isinstance(value, _TOLD) and describe("", value).value is None:
            if isinstance(value, (str, bytes, bytearray)):
                await keeping.keep(name, _cut(value, trace.redact))
            else:
                await keeping.structure(name, value)


_TOLD = (bool, int, float, Decimal, date, time, timedelta, UUID, Enum, type(None))
"""What a description holds in full, in whatever form."""


class _Keeping:
    """Keeps inputs in a trace; `references` has those of the files that are kept, by their ids."""

    def __init__(self, trace: Trace, whole: bool) -> None:
        self._trace = trace
        self._whole = whole
        self._references: dict[int, str] = {}

    async def structure(self, name: str, value: Any) -> None:
        """Keep the files in a container, and the container."""
        for place, file in await asyncio.to_thread(lambda: list(located(name, value))):
            if id(file) not in self._references:
                await self.file(place, file)
        await self.keep(name, _structure(value, _Beside(self._references, self._trace.redact)))

    async def file(self, name: str, file: File) -> None:
        """Keep a file, which is named and not copied where it has a path."""
        reference = await self.keep(name, _read(file), str(file.path or ""))
        self._references[id(file)] = reference

    async def keep(self, name: str, pieces: Iterator[bytes], path: str = "") -> str:
        """Keep pieces of bytes, or only their hash; return their reference, if there is one."""
        trace = self._trace
        try:
            reference, size = await _in_thread(pieces, trace if self._whole and not path else None)
        except (OSError, NotPortable) as error:
            problem = f"the input {name!r} could not be kept with the log: {error}"
            trace.emit(events.Logged, message=problem, level="warning")
            return ""
        trace.emit(events.InputStored, name=name, sha256=reference, size=size, path=path)
        return reference


class _Beside(Blobs):
    """What lies beside the JSON of a value in the log; `clean` takes secrets out of texts."""

    def __init__(self, references: Mapping[int, str], clean: Callable[[str], str]) -> None:
        super().__init__()
        self._references = references
        self._clean = clean

    def put_text(self, text: str) -> list[int]:
        return super().put_text(self._clean(text))

    def put_file(self, file: Any) -> Any:
        return self._references[id(file)]

    def json(self, value: Any) -> bytes:
        """Return a value as JSON, of which what is large lies beside."""
        text = str(to_json(encode(value, self)), "utf-8", "surrogatepass")
        return self._clean(text).encode("utf-8", "surrogatepass")


def _structure(value: Any, beside: _Beside) -> Iterator[bytes]:
    """Yield JSON and what lies beside; of a long list or dict it is never in memory as a whole."""
    shares, ends = divided(value)
    before = ends[:1]
    for part in shares:
        yield before + beside.json(part)[1:-1]
        before = b","
    yield ends[1:] if ends else beside.json(value)
    yield b"\n"
    yield from beside.pieces


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


def _cut(value: str | bytes | bytearray, clean: Callable[[str], str]) -> Iterator[bytes]:
    whole = clean(value) if isinstance(value, str) else value
    for start in range(0, len(whole), _PIECE):
        piece = whole[start : start + _PIECE]
        yield piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)


def _read(file: File) -> Iterator[bytes]:
    with open(file.open_fd(), "rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
