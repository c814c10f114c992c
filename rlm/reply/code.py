"""What can be said of a text that may be Python: where it ends, whether it is, how it is mended."""

# ruff: noqa: RUF001 - typographic quotes are what this module reads
from __future__ import annotations

import ast
import html
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator

from rlm.reply.effort import left

__all__ = ["code_end", "compiles", "is_clearly_code", "mended", "without_entities"]

_TOO_LONG = 200_000  # characters; longer texts are taken for what they seem to be

_TELLING = 1_000  # statements, of which one must do something
_LOOK_AHEAD = 400  # characters in which a string of one line must end

_INERT = re.compile(
    r"#[^\n]*+"
    r'|"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)'
    r"|'''(?:[^'\\]|\\.|'(?!''))*+(?:'''|\Z)"
    r'|"(?:[^"\\\n]|\\.)*+(?:"|(?=\n)|\Z)'  # one without an end is looked at once, too
    r"|'(?:[^'\\\n]|\\.)*+(?:'|(?=\n)|\Z)",
    re.DOTALL,
)
_STATEMENT = re.compile(
    r"^[^\S\n]*+(?:import \w|from [\w.]+ import |def \w+\(|async def |class \w++.*:|print\("
    r"|with .+:$|for (?>.+? in ).+:|while .+:|if .+:$|try:|return\b|submit\("
    r"|[A-Za-z_][\w.\[\]'\"]* ?[-+*/|&]?= ?\S)",
    re.MULTILINE,
)
_PROMPT = re.compile(r"^\s*(?:>>>|\.\.\.)(?: |$)")
_SMART = str.maketrans("“”„‟‘’‚‛", "\"\"\"\"''''")
_SPACES = str.maketrans(
    {"\xa0": " ", "\u200b": None, "\u2060": None, "\ufeff": None, "\u3000": " "}
)


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree, or None for what is not Python or too long to be tried."""
    return _tree(code) if _worth_parsing(code) else None


def compiles(code: str) -> bool:
    """Whether this is Python without a syntax error, or too long to be tried."""
    return not _worth_parsing(code) or _tree(code) is not None


def _worth_parsing(code: str) -> bool:
    return len(code) <= min(_TOO_LONG, left().parse)


def _tree(code: str) -> ast.Module | None:
    mine = left()
    if mine.last[0] != code:
        mine.parse -= len(code)
        mine.last = code, _parsed(code)
    return mine.last[1]


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape is the sandbox's to tell
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_clearly_code(code: str) -> bool:
    """Whether a person would call this text a program, even one with a mistake in it."""
    tree = parsed(mended(code))
    if tree is None:
        return _STATEMENT.search(code) is not None
    return any(_does_something(statement) for statement in tree.body[:_TELLING])


def _does_something(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None  # `Answer: 42` is prose
    if not isinstance(statement, ast.Expr):
        return True
    acts = (ast.Call, ast.Subscript, ast.Await)
    return any(isinstance(node, acts) for node in ast.walk(statement.value))


def code_end(text: str, start: int, closers: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return the first closer after `start` that stands in no string or comment of the code.

    When strings are left open, so that there is none or the code would not compile, the first
    closer of all is meant; so it is when all of it has been looked through too often.
    """
    first: re.Match[str] | None = None
    mine = left(len(text))
    at = start
    for closer in closers:
        end = closer.start()
        if mine.scan < 0:
            return first or closer
        before = at
        while at <= end:  # strings and comments are looked for no further than they matter
            span = _INERT.search(text, at, end + _LOOK_AHEAD)
            if span is None or span.start() >= end:
                break
            whole = span if span.end() <= end else _INERT.match(text, span.start())
            at = (whole or span).end()
        mine.scan -= max(at, end) - before + 20
        if at <= end:
            good = first is None or compiles(text[start:end])
            return closer if good else first
        first = first or closer
    return first


def mended(code: str) -> str:
    """Return the code as it was meant: without prompts, common indent or foreign quoting.

    A change that is only a guess is made when the code compiles with it and not without.
    """
    code = code.strip("\n").rstrip()
    first = code.lstrip("\n").split("\n", 1)[0]
    if _PROMPT.match(first):
        code = _without_prompts(code)
    elif first[:1].isspace():
        code = textwrap.dedent(code).strip("\n")
        if code[:1].isspace():  # only the first line is indented further than the rest
            code = code.lstrip()
    if not _suspicious(code) or compiles(code):
        return code
    for change in _GUESSES:
        guess = change(code)
        if guess != code and compiles(guess):
            return guess
    return code


def _without_prompts(code: str) -> str:
    lines = [line for line in textwrap.dedent(code).split("\n") if _PROMPT.match(line)]
    return "\n".join(line.lstrip()[4:] for line in lines)


def _suspicious(code: str) -> bool:
    """Whether a guess could apply at all; it is cheap, and most code is not suspicious."""
    return (
        not code.isascii()
        or ("&" in code and ";" in code)
        or "<![CDATA[" in code
        or "\\n" in code
        or '\\"' in code
    )


def _unescaped(code: str) -> str:
    """Undo one level of JSON escapes, of code that was escaped twice."""
    marks = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
    return re.sub(r'\\([nt"\\])', lambda found: marks[found[1]], code)


def without_entities(text: str) -> str:
    """Return the text with the characters that its HTML entities name, `<` for `&lt;`."""
    try:
        return html.unescape(text)
    except ValueError:  # the number of a character has thousands of digits
        return text


_GUESSES: tuple[Callable[[str], str], ...] = (
    without_entities,
    lambda code: code.translate(_SPACES),
    lambda code: code.translate(_SMART),
    lambda code: code.translate(_SPACES).translate(_SMART),
    lambda code: code.replace("\\n", "\n"),
    _unescaped,
)
