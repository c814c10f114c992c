"""Signatures written as one line of text: `"report, question -> answer: str"`."""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from rlm.errors import ConfigurationError
from rlm.signature.field import REQUIRED, Field, Parts
from rlm.signature.types import admits_none, read_type

__all__ = ["parse_text", "tidy", "write_text"]

_MARK = re.compile(
    r"""(?P<quote>["'])|(?P<comment>\#[^\n]*)|(?P<arrow>->)|(?P<blank>\n[ \t]*(?=\n))"""
)
_QUOTED = {'"': re.compile(r'"(?:\\.|[^"\\\n])*+"'), "'": re.compile(r"'(?:\\.|[^'\\\n])*+'")}
_LONGEST = 100_000
_LONGEST_FIELDS = 10_000
"""Characters of all fields of a text, with their descriptions: cells write such texts, too."""
_MOST_PARTS = 200
"""Types within types, of which each has a validator of its own."""
_KEPT = 2_000
"""Characters of a text that is kept once it is read; what is made of longer ones is large."""
_NOTHING = object()
_OPENING = "def _(*,"
_EXAMPLE = "as in 'report, question -> answer: str, pages: list[int]'"


def tidy(text: str) -> str:
    """Return a text without its margin, as it was written between triple quotes."""
    return textwrap.dedent(text.replace("\r\n", "\n")).strip()


class _Side(NamedTuple):
    """The text on one side of the arrow, and the comments in it by line."""

    text: str
    comments: dict[int, str]


def parse_text(text: str) -> Parts:
    """Read `inputs -> outputs`; after a blank line come the instructions.

    A field is `name`, `name: type` or `name: type = default`; fields are separated by commas and
    may stand on lines of their own, where what follows `#` describes the last field before it. An
    input without a type takes anything; an output without one is text. Raises ConfigurationError
    that points at what is wrong.
    """
    if len(text) > _LONGEST:
        raise ConfigurationError(
            f"a signature has at most {_LONGEST:,} characters, not {len(text):,}: long "
            "instructions go into instructions=…"
        )
    return _parsed(text) if len(text) <= _KEPT else _parsed.__wrapped__(text)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Parts:
    inputs, outputs, instructions = _split(tidy(text))
    return Parts(
        tuple(_fields(inputs, Any)), tuple(_fields(outputs, str)), instructions=instructions
    )


def _split(text: str) -> tuple[_Side, _Side, str]:
    arrow: re.Match[str] | None = None
    end = len(text)
    comments: list[re.Match[str]] = []
    for piece in _pieces(text):
        if piece.lastgroup == "comment":
            comments.append(piece)
        elif piece.lastgroup == "arrow":
            if arrow is not None:
                raise _error("a signature has one '->'", text[:end], piece.start())
            arrow = piece
        elif piece.lastgroup == "blank" and arrow is not None:
            end = piece.start()
            break
    if arrow is None:
        raise ConfigurationError(f"{text[:200]!r} is no signature: it has no '->', {_EXAMPLE}")
    if end > _LONGEST_FIELDS:
        raise ConfigurationError(
            f"the fields of a signature have at most {_LONGEST_FIELDS:,} characters, not {end:,}"
        )
    parts = text.count("[", 0, end) + text.count("|", 0, end)
    if parts > _MOST_PARTS:
        raise ConfigurationError(
            f"the types of a signature have at most {_MOST_PARTS} '[' and '|', not {parts:,}"
        )
    left = _side(text, 0, arrow.start(), comments)
    right = _side(text, arrow.end(), end, comments)
    return left, right, text[end:]


def _pieces(text: str) -> Iterator[re.Match[str]]:
    """Find what is not inside of a string; each character is looked at a few times at most."""
    at = 0
    unclosed = {'"': -1, "'": -1}
    while (mark := _MARK.search(text, at)) is not None:
        at = mark.end()
        quote = mark["quote"]
        if quote is None:
            yield mark
        elif mark.start() > unclosed[quote]:
            string = _QUOTED[quote].match(text, mark.start())
            if string is not None:
                at = string.end()
            else:  # nor is there an end for any other of its kind in this line
                unclosed[quote] = _line_end(text, at)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _side(text: str, start: int, end: int, comments: list[re.Match[str]]) -> _Side:
    found: dict[int, str] = {}
    parts: list[str] = []
    done, line = start, 0
    for piece in comments:
        if start <= piece.start() < end:
            parts.append(text[done : piece.start()])
            line += parts[-1].count("\n")
            found[line] = piece.group()[1:].strip()
            done = piece.end()
    return _Side("".join([*parts, text[done:end]]), found)


def _fields(side: _Side, untyped: Any) -> list[Field]:
    arguments = _arguments(side.text)
    described: dict[str, list[str]] = {argument.arg: [] for argument, _ in arguments}
    lines = [argument.lineno - 1 for argument, _ in arguments]
    for line, comment in side.comments.items():
        before = bisect_right(lines, line)
        if before:
            described[arguments[before - 1][0].arg].append(comment)
    fields = []
    for argument, default in arguments:
        try:
            annotation = read_type(argument.annotation) if argument.annotation else untyped
            value = _default(default)
        except ConfigurationError as error:
            raise ConfigurationError(f"field {argument.arg!r}: {error}") from None
        fields.append(Field(argument.arg, annotation, " ".join(described[argument.arg]), value))
    return fields


def _arguments(text: str) -> list[tuple[ast.arg, ast.expr | None]]:
    """Read fields as Python reads the arguments of a function."""
    if not text.strip():
        return []
    try:
        body = ast.parse(f"{_OPENING}{text}\n): 0").body
    except SyntaxError as error:
        lines = text.split("\n")
        row = min((error.lineno or 1) - 1, len(lines) - 1)
        column = max(0, (error.offset or 1) - 1 - (len(_OPENING) if row == 0 else 0))
        raise _error(_why(lines[row], column), lines[row], column) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{text[:200]!r} cannot be read: {error}") from None
    match body:
        case [ast.FunctionDef(args=found, body=[ast.Expr(ast.Constant(0))], returns=None)]:
            if not (found.kwarg or found.vararg or found.args or found.posonlyargs):
                return list(zip(found.kwonlyargs, found.kw_defaults, strict=True))
    raise ConfigurationError(f"{text[:200]!r} is no list of fields, {_EXAMPLE}")


def _why(line: str, column: int) -> str:
    word = re.match(r"\w*", line[column:])
    if word and keyword.iskeyword(word[0]):
        return f"{word[0]!r} is a Python keyword and cannot name a field"
    return "a field cannot be read"


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ConfigurationError(f"{ast.unparse(node)!r} is no plain value") from None


def _error(what: str, line: str, column: int) -> ConfigurationError:
    start = line.rfind("\n", 0, column) + 1
    row = line[start:].split("\n", 1)[0]
    at = min(column - start, len(row))
    window = max(0, at - 60)
    shown = row[window : at + 60]
    return ConfigurationError(f"{what}, {_EXAMPLE}:\n  {shown}\n  {' ' * (at - window)}^")


def write_text(inputs: tuple[Field, ...], outputs: tuple[Field, ...], instructions: str) -> str:
    """Write the text that reads back as the same fields and instructions."""
    described = any(field.description for field in (*inputs, *outputs))
    left, right = _write(inputs, Any, described), _write(outputs, _NOTHING, described)
    head = f"{left}\n->\n{right}" if described else f"{left} -> {right}".strip()
    return f"{head}\n\n{instructions}" if instructions else head


def _write(fields: tuple[Field, ...], untyped: Any, described: bool) -> str:
    written = []
    for field in fields:
        text = field.name if field.annotation is untyped else f"{field.name}: {field.type_text}"
        implied = field.default is None and admits_none(field.annotation)
        if not field.required and not implied:
            text += f" = {field.default!r}"
        if described:
            text += f",  # {field.description}" if field.description else ","
        written.append(text)
    return "\n".join(written) if described else ", ".join(written)
