"""What a guest says of a cell, believed only as far as its form is right."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from rlm.guest.images import MOST_BYTES, MOST_IMAGES, MOST_IN_ALL, measure
from rlm.guest.output import Kept
from rlm.guest.values import decode
from rlm.guest.wire import WireError
from rlm.sandbox.base import CellError, Execution, Image, Variable

__all__ = ["execution", "lost"]

_KINDS = ("error", "syntax", "timeout")
_MOST_VARIABLES = 1000
_MOST_THINGS = 1 << 62
_MOST_FILES = 100_000
_LONGEST = (200, 10_000, 2_000, 40_000)
"""Characters of an error's type, message, source and traceback."""


def execution(done: dict[str, Any], blob: bytes, output_bytes: int, seconds: float) -> Execution:
    """Make an Execution of a `done` message; a WireError or its like when it is none."""
    kept = output_bytes + 200  # and the mark where something was left out
    stdout, stderr = decode(done["stdout"], blob), decode(done["stderr"], blob)
    value, error = done["value"], done["error"]
    for text in (stdout, stderr, "" if value is None else value):
        if not isinstance(text, str):
            raise WireError("a text is missing")
    return Execution(
        stdout=stdout[:kept],
        stderr=stderr[:kept],
        stdout_chars=_count(done["stdout_chars"]),
        stderr_chars=_count(done["stderr_chars"]),
        value=None if value is None else value[:kept],
        error=None if error is None else _error(error),
        variables=tuple(_variable(entry) for entry in done["variables"][:_MOST_VARIABLES]),
        files=tuple(_text(name)[:500] for name in done["files"][:_MOST_FILES]),
        images=_images(decode(done.get("images", [])[:MOST_IMAGES], blob)),
        seconds=seconds,
    )


def lost(
    why: str,
    pieces: Mapping[str, Sequence[str]],
    rest: Mapping[str, Any],
    most: int,
    seconds: float,
) -> Execution:
    """Make the Execution of a cell whose session was lost.

    `pieces` is what it sent of its output, `rest` what it had no time to send; `most` bounds each.
    """
    kept = {}
    for stream in ("stdout", "stderr"):
        kept[stream] = Kept(most)
        for text in (*pieces[stream], rest.get(stream, "")):
            kept[stream].add(text if isinstance(text, str) else "")
    message = f"The session was lost: {why}; all variables are gone, the inputs are there again."
    return Execution(
        stdout=kept["stdout"].text(),
        stderr=kept["stderr"].text(),
        stdout_chars=kept["stdout"].chars,
        stderr_chars=kept["stderr"].chars,
        error=CellError("SessionLost", message, kind="lost"),
        seconds=seconds,
    )


def _images(contents: Sequence[Any]) -> tuple[Image, ...]:
    """Believe of images what their bytes say."""
    if not all(type(content) is bytes and len(content) <= MOST_BYTES for content in contents):
        raise WireError("an image is malformed")
    measured = [measure(content) for content in contents]
    if None in measured or sum(map(len, contents)) > MOST_IN_ALL:
        raise WireError("an image is malformed")
    return tuple(
        Image(*size, b64encode(content).decode("ascii"))  # type: ignore[arg-type] # a format of ours
        for size, content in zip(measured, contents, strict=True)
        if size is not None
    )


def _error(told: dict[str, Any]) -> CellError:
    line, kind = told["line"], told["kind"]
    if kind not in _KINDS:
        raise WireError("an error is malformed")
    texts = [told[name] for name in ("type", "message", "source", "traceback")]
    if not all(isinstance(text, str) for text in texts):
        raise WireError("an error is malformed")
    name, message, source, trace = (
        text[:limit] for text, limit in zip(texts, _LONGEST, strict=True)
    )
    return CellError(name, message, None if line is None else _count(line), source, trace, kind)


def _variable(entry: Any) -> Variable:
    name, kind, length, preview = entry
    if not all(isinstance(text, str) for text in (name, kind, preview)):
        raise WireError("a variable is malformed")
    count = None if length is None else _count(length)
    return Variable(name[:500], kind[:200], count, preview[:1_000])


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise WireError("a name is malformed")
    return name


def _count(number: Any) -> int:
    """Believe a number of things that may be there; one of a thousand digits is none."""
    if type(number) is not int or not 0 <= number <= _MOST_THINGS:
        raise WireError("a count is malformed")
    return number
