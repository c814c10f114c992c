"""The ordered facts of a run, in memory and, line by line, in its log."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from pydantic_core import PydanticSerializationError, from_json

from rlm.errors import ConfigurationError
from rlm.events import SCHEMA_VERSION, Delta, Event, read_event
from rlm.redaction import Redactor

if TYPE_CHECKING:
    from rlm.store.base import LogWriter

__all__ = ["BLOB_OVER", "Sink", "Trace"]

Sink = Callable[[Event | Delta], None]
"""Takes every event and every delta of a run, in order; it observes and changes nothing."""

E = TypeVar("E", bound=Event)

BLOB_OVER = 64 * 1024
"""Characters of a value above which a log holds its hash instead."""

_log = logging.getLogger("rlm")


class Trace:
    """The ordered facts of one run.

    `emit` is the only way in: it numbers the event, takes secrets out, appends it to the log and
    hands it to the sinks. A sink that raises is reported once, under the logger `rlm`, and not
    asked again; a log that cannot be written likewise, and `damaged` says so.
    """

    def __init__(
        self,
        run: str,
        *,
        sinks: Iterable[Sink] = (),
        writer: LogWriter | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.run = run
        # A long run has many events: as bytes they are a tenth of the size, and no work for the
        # garbage collector. They become models again when somebody looks.
        self._lines: list[bytes] = []
        self._read: dict[int, Event] = {}
        self.damaged: str = ""
        self.skipped: list[str] = []
        self._sinks = list(sinks)
        self._writer = writer
        self._redactor = redactor or Redactor()
        self._began = time.monotonic()

    # Writing ----------------------------------------------------------------------------------

    def emit(self, kind: type[E], call: str = "", /, **fields: Any) -> E:
        """Record a fact and return it as it was recorded."""
        envelope: dict[str, Any] = {
            "v": SCHEMA_VERSION,
            "run": self.run,
            "call": call,
            "seq": len(self._lines),
            "at": datetime.now(UTC),
            "type": _WORDS.get(kind) or _word(kind),
            "t": round(time.monotonic() - self._began, 6),
        }
        event: E = kind.__pydantic_validator__.validate_python(envelope | fields)
        try:
            line = event.__pydantic_serializer__.to_json(event, exclude_unset=True)
        except PydanticSerializationError:  # lone surrogates, which no log can hold
            event = _changed(event, _spelled_out)
            line = event.__pydantic_serializer__.to_json(event, exclude_unset=True)
        if self._redactor.knows_secrets and self._redactor(text := line.decode()) != text:
            event = _changed(event, self._redactor)
            line = event.__pydantic_serializer__.to_json(event, exclude_unset=True)
        self._lines.append(line)
        if self._writer is not None:
            self._append(self._writer, event, line)
        if self._sinks:
            self._show(event)
        return event

    def show(self, delta: Delta) -> None:
        """Hand a piece of live text to the sinks; it is no fact and is not kept."""
        if self._sinks:
            self._show(delta)

    @property
    def watched(self) -> bool:
        """Whether anybody would see a delta."""
        return bool(self._sinks)

    @property
    def location(self) -> str:
        """Where the log is, or `""` when there is none."""
        return self._writer.location if self._writer else ""

    def redact(self, text: str) -> str:
        """Return the text without known secrets."""
        return self._redactor(text)

    def put_blob(self, pieces: Iterable[bytes]) -> str:
        """Keep content beside the log and return its reference, or `""` without a log."""
        return self._writer.put_blob(pieces) if self._writer else ""

    def close(self) -> None:
        """End the log."""
        if self._writer is not None:
            self._writer.close()

    def _append(self, writer: LogWriter, event: Event, line: bytes) -> None:
        try:
            if len(line) > BLOB_OVER:
                line = _with_blobs(event, writer).encode()
            writer.append(line + b"\n")
        except OSError as error:
            if not self.damaged:
                self.damaged = f"the log {writer.location} cannot be written: {error}"
                _log.error(self.damaged)

    def _show(self, what: Event | Delta) -> None:
        for sink in list(self._sinks):
            try:
                sink(what)
            except Exception:
                _log.exception("a sink failed and is not used any more: %r", sink)
                self._sinks.remove(sink)

    # Reading ----------------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """All events so far, in order."""
        return [self._event(place) for place in range(len(self._lines))]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self._lines)

    def of(self, *kinds: type[E], call: str | None = None) -> list[E]:
        """Return the events of these types, of one call or of all."""
        return list(self._find(range(len(self._lines)), kinds, call))

    def first(self, *kinds: type[E], call: str | None = None) -> E | None:
        """Return the first event of these types, or `None`."""
        return next(self._find(range(len(self._lines)), kinds, call), None)

    def last(self, *kinds: type[E], call: str | None = None) -> E | None:
        """Return the last event of these types, or `None`."""
        return next(self._find(reversed(range(len(self._lines))), kinds, call), None)

    def _find(
        self, places: Iterable[int], kinds: tuple[type[E], ...], call: str | None
    ) -> Iterator[E]:
        """Look at lines as bytes first: of a long trace few become models."""
        words = [_word(kind) for kind in kinds]
        marks = [f'"type":"{word}"'.encode() for word in words] if all(words) else [b""]
        where = b"" if call is None else f'"call":{json.dumps(call)}'.encode()
        for place in places:
            line = self._lines[place]
            if where not in line or not any(mark in line for mark in marks):
                continue
            event = self._event(place)
            if isinstance(event, kinds) and (call is None or event.call == call):
                yield event

    def _event(self, place: int) -> Event:
        found = self._read.get(place)
        if found is None:
            found = self._read[place] = read_event(from_json(self._lines[place]))
        return found

    def to_jsonl(self) -> str:
        """Return all events as JSON, one a line, with large values in place."""
        return "".join(line.decode() + "\n" for line in self._lines)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Trace:
        """Read a log as far as it is sound; `skipped` says which lines were left out and why.

        Raises ConfigurationError when there is no such file or no line of it is an event.
        """
        location = Path(path)
        try:
            raw = location.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the log {str(location)!r}: {error.strerror}"
            ) from None
        trace = cls("")
        for number, line in enumerate(raw.split(b"\n"), 1):
            if line.strip():
                trace._read_line(number, line, location.parent / "blobs")
        if not trace._lines:
            raise ConfigurationError(f"{str(location)!r} is not a log of rlm: no line is an event")
        trace.run = trace.events[0].run
        return trace

    def _read_line(self, number: int, line: bytes, blobs: Path) -> None:
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("an event is a JSON object")
            if b'"$ref"' in line:
                fields = _without_blobs(fields, blobs)
            event = read_event(fields)
            self._read[len(self._lines)] = event
            self._lines.append(event.__pydantic_serializer__.to_json(event, exclude_unset=True))
        except (ValueError, KeyError, TypeError, OSError) as error:
            self.skipped.append(f"line {number}: {type(error).__name__}: {str(error)[:200]}")


_WORDS: dict[type[Event], str] = {}


def _word(kind: type[Event]) -> str:
    """Return the `type` of an event, or `""` for a class that has many."""
    if kind not in _WORDS:
        _WORDS[kind] = "".join(get_args(kind.model_fields["type"].annotation))
    return _WORDS[kind]


def _changed(event: E, change: Callable[[str], str]) -> E:
    """Return the event with its texts changed; the schema's own words stay as they are."""

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            return {walk(key): walk(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(item) for item in value]
        return value

    kind, fields = type(event), event.model_dump(exclude_unset=True)
    for name, value in fields.items():
        if name not in Event.model_fields and not _is_word(kind.model_fields[name].annotation):
            fields[name] = walk(value)
    return kind.model_validate(fields)


def _is_word(annotation: Any) -> bool:
    return get_origin(annotation) is Literal


def _spelled_out(text: str) -> str:
    """Return the text with each lone surrogate written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _with_blobs(event: Event, writer: LogWriter) -> str:
    def walk(value: Any) -> Any:
        if isinstance(value, str) and len(value) > BLOB_OVER:
            return {"$ref": writer.put_blob([value.encode("utf-8", "surrogatepass")])}
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    fields = walk(event.model_dump(mode="json", exclude_unset=True))
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _without_blobs(value: Any, blobs: Path) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$ref"} and (name := _BLOB.fullmatch(str(value["$ref"]))):
            return _read_blob(name[1], blobs)
        return {key: _without_blobs(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_blobs(item, blobs) for item in value]
    return value


_BLOB = re.compile(r"sha256:([0-9a-f]{64})")  # any other "$ref" is somebody's own, as in schemas


def _read_blob(digest: str, blobs: Path) -> str:
    content = (blobs / digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"the blob {digest[:12]}… does not match its name")
    return content.decode("utf-8", "surrogatepass")
