"""What a cell did, as the next message: everything that was seen, bounded, marked as data."""

from __future__ import annotations

from collections.abc import Sequence

from rlm.prompt.quote import clean, cut, fair_shares, one_line, quoted
from rlm.prompt.remarks import problem_lines
from rlm.sandbox.base import CellError, Execution, Variable

__all__ = ["OBSERVATION_EXTRA", "observation", "shown_chars"]

OBSERVATION_EXTRA = 1_500
"""The most that marks, lengths and fixed sentences add to `max_chars` of content."""

_FULL_UNTIL = 0.25
_LEAST_SHARE = 0.15
_LEAST_CHARS = 400
_TRACEBACK_CHARS = 1_500
_VARIABLES = 30


def shown_chars(max_chars: int, fill: float) -> int:
    """Return how much of an output is shown when the transcript fills this part of the window.

    All of `max_chars` up to a quarter, then less in a straight line down to 15 % when it is full;
    never under 400 characters (or `max_chars`, if that is less).
    """
    over = min(max(fill - _FULL_UNTIL, 0.0) / (1 - _FULL_UNTIL), 1.0)
    share = 1 - over * (1 - _LEAST_SHARE)
    return max(int(max_chars * share), min(_LEAST_CHARS, max_chars))


def observation(
    execution: Execution,
    *,
    cell: int,
    max_chars: int,
    warnings: Sequence[str] = (),
    skipped: int = 0,
    problems: Sequence[str] = (),
    syntax_problem: str | None = None,
) -> str:
    """Return the message about a cell, at most `max_chars` and OBSERVATION_EXTRA long.

    `skipped` counts further actions of the same reply, `problems` say why a submitted output was
    refused, and a `syntax_problem` means that the cell was not run at all.
    """
    if syntax_problem is not None:
        execution = Execution(error=CellError("SyntaxError", syntax_problem, kind="syntax"))
    contents = _contents(execution, warnings, problems, max_chars)
    shares = fair_shares([len(text) for _, text, _ in contents], max_chars)
    parts = [_outcome(execution, cell)]
    parts += [_block(*part, share) for part, share in zip(contents, shares, strict=True)]
    if not (execution.stdout or execution.value or execution.stderr or execution.error):
        parts.append("Nothing was printed. Print what you want to see.")
    if any(share < part[2] for part, share in zip(contents, shares, strict=True)):
        parts.append("What was cut is still in your variables: print a smaller part of it.")
    if skipped:
        parts.append(_skipped(skipped, "read" if syntax_problem is not None else "run"))
    return "\n".join(parts)


def _outcome(execution: Execution, cell: int) -> str:
    error = execution.error
    if error is None:
        return f"Cell {cell} ran."
    return {
        "error": f"Cell {cell} failed. What it did before the error stays.",
        "syntax": f"Cell {cell} was not run: it is not valid Python.",
        "timeout": f"Cell {cell} was stopped, its time was over. Your variables live on.",
        "lost": f"Cell {cell} ended the session: your variables are lost. "
        "The next cell starts a fresh one with the inputs.",
    }[error.kind]


def _contents(
    execution: Execution, warnings: Sequence[str], problems: Sequence[str], max_chars: int
) -> list[tuple[str, str, int]]:
    """Return the parts that hold foreign text: mark, text, true length."""
    found = [
        _output("stdout", execution.stdout, execution.stdout_chars, max_chars),
        _output("stderr", execution.stderr, execution.stderr_chars, max_chars),
        _output("value", execution.value or "", 0, max_chars),
    ]
    if execution.error is not None:
        text = _error(execution.error)
        found.append(("error", text, len(text)))
    if problems and not _told(problems, execution.error):
        text = problem_lines(problems)
        found.append(("refused", text, len(text)))
    for mark, lines in (
        ("variables", [_variable(v) for v in execution.variables[:_VARIABLES]]),
        ("warnings", [one_line(warning, 400) for warning in warnings[:20]]),
    ):
        text = "\n".join(lines)
        found.append((mark, text, len(text)))
    return [part for part in found if part[1]]


def _output(mark: str, text: str, length: int, max_chars: int) -> tuple[str, str, int]:
    """Return a part; of a text far too long only the ends that may be shown are looked at."""
    missing = max(length - len(text), 0)
    if len(text) > 2 * max_chars:
        missing += len(text) - 2 * max_chars
        text = text[:max_chars] + text[-max_chars:]
    text = clean(text.removesuffix("\n"))
    return mark, text, len(text) + missing


def _told(problems: Sequence[str], error: CellError | None) -> bool:
    """Whether the exception of a refused submit already says all the problems."""
    return error is not None and all(problem in error.message for problem in problems)


def _block(mark: str, text: str, length: int, share: int) -> str:
    shown = cut(text, share, length)
    note = f' chars="{length:,}" cut="{length - share:,}"' if share < length else ""
    return quoted(mark, shown, note)


def _error(error: CellError) -> str:
    parts = [clean(f"{error.type}: {error.message}".removesuffix(": "))]
    if error.line is not None:
        parts.append(f"line {error.line}: {clean(error.source.strip())}".removesuffix(": "))
    frames = _frames(error.traceback)
    if frames:
        parts.append(frames)
    return "\n".join(parts)


def _frames(traceback: str) -> str:
    """Return the last frames of a traceback that says more than the failing line does."""
    lines = clean(traceback[-_TRACEBACK_CHARS:]).splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith('  File "')]
    if len(starts) < 2:
        return ""
    kept = lines[starts[0] :]
    while kept and not kept[-1].startswith("  "):
        kept.pop()  # the exception itself, which is told already
    return "\n".join(kept)


def _variable(variable: Variable) -> str:
    size = "" if variable.length is None else f" of {variable.length:,}"
    line = f"{one_line(variable.name, 80)}: {one_line(variable.type, 80)}{size}"
    return f"{line} = {one_line(variable.preview, 120)}" if variable.preview else line


def _skipped(skipped: int, done: str) -> str:
    rest = "one more was" if skipped == 1 else f"{skipped:,} more were"
    return f"Only the first block was {done}; {rest} not. One reply, one block."
