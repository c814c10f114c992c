"""JSON as models write it: with comments, foreign quotes and literals, and without ends."""

# ruff: noqa: RUF001 - typographic quotes are what this module reads
from __future__ import annotations

import json
import re
from typing import Any

from rlm.reply.code import compiles
from rlm.reply.effort import effort

__all__ = ["loads", "read_object"]

_STRICT = json.JSONDecoder(strict=False)  # raw newlines in strings are allowed
_SPACE = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|#[^\n]*|/\*.*?\*/)*+", re.DOTALL)
_STRINGS = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL),
    "`": re.compile(r"`((?:[^`\\]|\\.)*+)`", re.DOTALL),
    "“": re.compile(r"[“”„]((?:[^”\\]|\\.)*+)”", re.DOTALL),
    "‘": re.compile(r"[‘’]((?:[^’\\]|\\.)*+)’", re.DOTALL),
    '"""': re.compile(r'"""((?:[^"\\]|\\.|"(?!""))*+)"""', re.DOTALL),
    "'''": re.compile(r"'''((?:[^'\\]|\\.|'(?!''))*+)'''", re.DOTALL),
}
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "“", "”": "“", "„": "“", "‘": "‘", "’": "‘"}
_BARE = re.compile(r"[A-Za-z_$][\w$-]*+|[-+]?(?:\d[\d_]*+)?\.?\d*(?:[eE][-+]?\d+)?")
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "undefined": None,
}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", "\n": ""}
_DEEPEST = 60

_Q = "[\"'“”‘’]"
_ACTION = re.compile(rf"{_Q}action{_Q}\s*:\s*{_Q}(\w+){_Q}", re.IGNORECASE)
_PAYLOAD = re.compile(rf"{_Q}(code|answer)({_Q})\s*:\s*({_Q})", re.IGNORECASE)
_PAYLOAD_END = re.compile(rf"{_Q}(?=\s*(?:\}}|,\s*{_Q}\w+{_Q}\s*:))")
_ATTEMPTS = 24


class _NotJSON(ValueError):
    """What is read is no JSON, however loose."""


def loads(text: str) -> Any:
    """Return the value of a text that is one loose JSON value; raises ValueError."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        reader = _Reader(text, 0)
        value = reader.value(0)
        reader.space()
        if reader.at < len(text):
            raise _NotJSON("more follows the value") from None
        return value


def read_object(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """Return the object that starts at `text[at] == "{"` and where it ends, or None."""
    try:
        value, end = _STRICT.raw_decode(text, at)
        return value, end
    except (ValueError, RecursionError):
        pass  # not strict JSON: read it as a person would
    reader = _Reader(text, at)
    try:
        found = reader.value(0)
    except _NotJSON:
        with effort(len(text)):
            return _rescued(text, at)
    return (found, reader.at) if isinstance(found, dict) else None


class _Reader:
    """A recursive-descent reader; an object or a list also ends where the text does."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def space(self) -> str:
        """Skip space and comments; return the next character, or nothing at the end."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def value(self, depth: int) -> Any:
        """Read one value."""
        if depth > _DEEPEST:
            raise _NotJSON("nested too deeply")
        mark = self.space()
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._array(depth)
        if mark in _QUOTES and mark:
            return self._string(mark)
        return self._word()

    def _object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        found: dict[str, Any] = {}
        while (mark := self.space()) != "}":
            if not mark:
                return found
            key = self._string(mark) if mark in _QUOTES else str(self._bare())
            if self.space() not in (":", "="):
                raise _NotJSON("no colon after a key")
            self.at += 2 if self.text.startswith("=>", self.at) else 1
            found[key] = self.value(depth + 1)
            self._separator("}")
        self.at += 1
        return found

    def _array(self, depth: int) -> list[Any]:
        self.at += 1
        found: list[Any] = []
        while (mark := self.space()) != "]":
            if not mark:
                return found
            found.append(self.value(depth + 1))
            self._separator("]")
        self.at += 1
        return found

    def _separator(self, end: str) -> None:
        mark = self.space()
        if mark in (",", ";") and mark:
            self.at += 1
        elif mark and mark != end and mark not in _QUOTES:  # a missing comma is forgiven
            raise _NotJSON("no comma after a value")

    def _string(self, mark: str) -> str:
        triple = self.text[self.at : self.at + 3]
        kind = triple if triple in _STRINGS else _QUOTES[mark]
        found = _STRINGS[kind].match(self.text, self.at)
        if found is None:
            raise _NotJSON("a string without an end")
        self.at = found.end()
        return unescaped(found[1])

    def _bare(self) -> str:
        found = _BARE.match(self.text, self.at)
        if found is None or not found[0]:
            raise _NotJSON("neither a value nor a key")
        self.at = found.end()
        return found[0]

    def _word(self) -> Any:
        word = self._bare()
        if word in _WORDS:
            return _WORDS[word]
        number = word.replace("_", "")
        for kind in (int, float):
            try:
                return kind(number)
            except ValueError:
                continue
        raise _NotJSON(f"{word[:40]!r} is no value")


def unescaped(text: str) -> str:
    """Resolve the escapes of a string; a backslash that begins none is kept, as in `\\d`."""
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_resolved, text)
    if any("\ud800" <= character <= "\udfff" for character in plain):
        return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return plain


def _resolved(found: re.Match[str]) -> str:
    mark = found[1]
    if len(mark) > 1:
        return chr(int(mark[1:], 16))
    if mark in "\"'`“”‘’":
        return mark
    return _ESCAPES.get(mark, found[0])


def _rescued(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """Read an action whose code or answer has quotes that are not escaped, or has no end."""
    payload = _PAYLOAD.search(text, at, at + 4000)
    if payload is None or text.find("}", at, payload.start()) >= 0:
        return None
    named = _ACTION.search(text, at, payload.start())
    key, start = payload[1].lower(), payload.end()
    body, end = _payload(text, start, key)
    if named is None:
        named = _ACTION.search(text, end, end + 200)
    found: dict[str, Any] = {key: body}
    if named is not None:
        found["action"] = named[1]
    closed = re.compile(r"[^{}]{0,300}\}").match(text, end)
    return found, closed.end() if closed else end


def _payload(text: str, start: int, key: str) -> tuple[str, int]:
    """Return the string that starts here and where its quote ends, taking the likeliest quote."""
    ends = []
    for found, _ in zip(_PAYLOAD_END.finditer(text, start), range(_ATTEMPTS), strict=False):
        ends.append(found)
        body = unescaped(text[start : found.start()])
        last = re.compile(r"\s*\}\s*(?:\n|```|\Z)").match(text, found.end()) is not None
        if compiles(body) if key == "code" else last:
            return body, found.end()
    if ends:
        return unescaped(text[start : ends[-1].start()]), ends[-1].end()
    rest = unescaped(text[start:].rstrip().removesuffix("```").rstrip())
    if key == "code" and rest.endswith("}") and not compiles(rest) and compiles(rest[:-1]):
        rest = rest[:-1]  # the quote before the brace is missing
    return rest, len(text)
