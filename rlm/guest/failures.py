"""How a cell failed, as plain JSON values: its error's class, message, line and traceback.

What an error is made of may be code of the cell: its message, its class's name. What runs such
code is kept apart from what does not, so that something can be told whatever that code does.
"""

from __future__ import annotations

import builtins
import linecache
import traceback
import types
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .errors import CellTimeout
from .previews import kind_name, shorten

__all__ = ["Sources", "barely", "explain", "lines_of", "syntax_error", "told"]

_MESSAGE_CHARS = 4_000
_TRACEBACK_CHARS = 20_000
_LINE_CHARS = 2_000
_SOURCE_CHARS = 1_000
_FRAMES = (10, 40)
"""The outermost and the innermost frames of cells that a traceback shows."""
_CHAIN = 50
_KEPT = 200
_of_error: Any = BaseException.__dict__
"""What every exception has, whatever its class makes of the same names."""


class Sources:
    """The text of the last cells, for tracebacks; cells may empty the cache that those look in."""

    def __init__(self) -> None:
        self._entries: Dict[str, Any] = {}

    def add(self, name: str, code: str) -> List[str]:
        """Keep the text of a cell and return its lines."""
        lines = lines_of(code)
        self._entries[name] = linecache.cache[name] = (len(code), None, lines, name)
        if len(self._entries) > _KEPT:
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            linecache.cache.pop(oldest, None)
        return lines

    def restore(self) -> None:
        """Put the texts where tracebacks look for them."""
        linecache.cache.update(self._entries)


def lines_of(code: str) -> List[str]:
    """Return the lines as Python counts them, with their ends: form feeds and the like end none."""
    unified = code.replace("\r\n", "\n").replace("\r", "\n")
    return [line + "\n" for line in unified.split("\n")]


def told(error: BaseException, name: str, lines: List[str], line: Optional[int]) -> Dict[str, Any]:
    """Return what is told of an error that the cell `name` raised; runs code of the cell.

    `line` is where the cell waited, when the error came from elsewhere.
    """
    facts = _facts(error, line or line_of(error, name), lines)
    if isinstance(error, SystemExit):
        facts["message"] = f"{_left(error)} ended this cell; the session and its variables live on"
        return facts
    facts["message"] = _message(error)
    facts["traceback"] = explain(error)
    return facts


def barely(
    error: BaseException,
    name: str,
    lines: List[str],
    why: BaseException,
    line: Optional[int] = None,
) -> Dict[str, Any]:
    """Return what can be told of an error without running code of the cell.

    `why` is what happened when more was to be told, or the same: the cell's time was up, no memory
    was left.
    """
    facts = _facts(error, line or line_of(error, name), lines)
    if error is why:
        facts["message"] = _plain_message(error)
    else:
        facts["message"] = f"its message could not be had ({kind_name(why)})"
    facts["kind"] = "timeout" if issubclass(type(why), CellTimeout) else "error"
    facts["traceback"] = _alone(error, facts["message"])
    return facts


def syntax_error(error: BaseException, lines: List[str]) -> Dict[str, Any]:
    """Return what is told of a cell that is no Python, or more of it than a compiler can take."""
    facts = _facts(error, getattr(error, "lineno", None), lines)
    facts["message"] = _message(error) or "the code is nested too deep"
    facts["traceback"] = _bounded("".join(traceback.format_exception_only(type(error), error)))
    facts["kind"] = "syntax"
    return facts


def explain(error: BaseException) -> str:
    """Return the traceback with the frames of cells only, and not too many of them."""
    family = _family(error)
    left_out = sum([_cut(one) for one in family])
    try:
        if any(len(_members(one)) > _CHAIN for one in family):
            text = _alone(error, _message(error))
        else:
            found = traceback.TracebackException.from_exception(error)
            text = _bounded("".join(found.format()))
    except Exception as broken:
        return f"{kind_name(error)} (its traceback raises {kind_name(broken)})"
    return f"({left_out:,} frames are left out)\n{text}" if left_out else text


def _alone(error: BaseException, message: str) -> str:
    """Return the traceback of an error without its causes and members."""
    _cut(error)
    stack = "".join(traceback.format_tb(_of_error["__traceback__"].__get__(error)))
    last = f"{kind_name(error)}: {message}\n"
    return _bounded(f"Traceback (most recent call last):\n{stack}{last}")


def line_of(error: BaseException, name: str) -> Optional[int]:
    """Return the innermost line of the cell `name` that the error came through."""
    found = None
    for step in _steps(error):
        if step.tb_frame.f_code.co_filename == name:
            found = step.tb_lineno
    return found


def _facts(error: BaseException, line: Optional[int], lines: List[str]) -> Dict[str, Any]:
    source = lines[line - 1][:-1] if line and 0 < line <= len(lines) else ""
    return {
        "type": kind_name(error),
        "message": "",
        "line": line,
        "source": source[:_SOURCE_CHARS],
        "traceback": "",
        "kind": "timeout" if issubclass(type(error), CellTimeout) else "error",
    }


def _message(error: BaseException) -> str:
    try:
        text = str.__str__(str(error))  # not of a class of the cell
    except CellTimeout:
        raise
    except BaseException as broken:
        return f"its message raises {kind_name(broken)}"
    return shorten(text, _MESSAGE_CHARS)


def _plain_message(error: BaseException) -> str:
    args = _of_error["args"].__get__(error)
    return args[0][:_MESSAGE_CHARS] if args and type(args[0]) is str else ""


def _left(error: SystemExit) -> str:
    code = error.code
    return f"exit({code!r:.500})" if type(code) in (int, str) else "exit()"


def _steps(error: BaseException) -> Iterator[types.TracebackType]:
    step = _of_error["__traceback__"].__get__(error)
    while step is not None:
        yield step
        step = step.tb_next


def _family(error: BaseException) -> List[BaseException]:
    """Return an error, its causes and its members; a chain that is too long ends there."""
    found: List[BaseException] = [error]
    seen = {id(error)}
    for one in found:
        if len(found) > _CHAIN:
            for name in ("__cause__", "__context__"):
                _of_error[name].__set__(one, None)
            continue
        kin = [_of_error[name].__get__(one) for name in ("__cause__", "__context__")]
        for other in [*kin, *_members(one)[:_CHAIN]]:
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                found.append(other)
    return found


def _members(error: BaseException) -> Tuple[BaseException, ...]:
    if _GROUP is None or not issubclass(type(error), _GROUP):
        return ()
    members: Tuple[BaseException, ...] = _GROUP.__dict__["exceptions"].__get__(error)
    return members


def _cut(error: BaseException) -> int:
    """Leave of a traceback the frames of cells, and of many the ends; return how many are gone."""
    steps = [s for s in _steps(error) if s.tb_frame.f_code.co_filename.startswith("<cell ")]
    first, last = _FRAMES
    left_out = max(len(steps) - first - last, 0)
    if left_out:
        steps[first:-last] = []
    rest: Optional[types.TracebackType] = None
    for step in reversed(steps):
        rest = types.TracebackType(rest, step.tb_frame, step.tb_lasti, step.tb_lineno)
    _of_error["__traceback__"].__set__(error, rest)
    return left_out


def _bounded(text: str) -> str:
    if len(text) > _LINE_CHARS:
        text = "\n".join(shorten(line, _LINE_CHARS) for line in text.split("\n"))
    return shorten(text, _TRACEBACK_CHARS)


_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
