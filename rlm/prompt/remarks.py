"""What the runtime says between turns: what is left, what was wrong, that this is the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rlm.prompt.dialect import Dialect, answer_form, exec_form, submit_call
from rlm.prompt.query import output_lines
from rlm.prompt.quote import clean, cut
from rlm.prompt.texts import fill

if TYPE_CHECKING:
    from rlm.signature import Signature

__all__ = ["PROBLEM_CHARS", "last_request", "notice", "problem_lines", "refusal", "repair"]

PROBLEM_CHARS = 2_000
"""The most that is said about one problem."""
WARN_AT = 0.8
"""The part of a limit after which the model is told to come to an end."""

_WORDS = {
    "max_iterations": "turns",
    "max_llm_calls": "model calls",
    "max_sub_calls": "sub-calls",
    "max_tool_calls": "tool calls",
    "max_tokens": "tokens",
    "max_cost_usd": "money",
    "max_seconds": "seconds",
}


def repair(problem: str, dialect: Dialect) -> str:
    """Return the request to mend a reply that holds no action that can be carried out."""
    return fill("repair", problem=_bounded(problem), form=exec_form(dialect, "…"))


def refusal(problems: Sequence[str]) -> str:
    """Return what is said about an answer that does not satisfy the signature."""
    return fill("refusal", problems=problem_lines(problems))


def problem_lines(problems: Sequence[str]) -> str:
    """Return the problems as a bounded list."""
    lines = [f"- {_bounded(problem)}" for problem in problems[:20]]
    if len(problems) > 20:
        lines.append(f"- and {len(problems) - 20:,} more")
    return cut("\n".join(lines), 2 * PROBLEM_CHARS)


def last_request(reason: str, signature: Signature, dialect: Dialect) -> str:
    """Return the request for an answer now; what comes back is parsed like any other reply."""
    return fill(
        "last_request",
        reason=_bounded(reason).rstrip("."),
        form=answer_form(dialect, signature),
        cell=exec_form(dialect, submit_call(signature)),
        outputs=output_lines(signature),
    )


def notice(left: Mapping[str, tuple[float, float]]) -> str:
    """Return one line about what is left, from `(used, cap)` by the name of the limit.

    What is left is rounded down to tenths of the cap, so that the line seldom changes. It is `""`
    when nothing is limited.
    """
    parts = [_left(name, used, cap) for name, (used, cap) in left.items()]
    if not parts:
        return ""
    short = [_word(name) for name, (used, cap) in left.items() if used >= WARN_AT * cap]
    line = f"Left: {', '.join(parts)}."
    if short:
        line += f" Nearly out of {' and '.join(short)}: submit the best supported answer now."
    return line


def _word(name: str) -> str:
    return _WORDS.get(name, name.removeprefix("max_").replace("_", " "))


def _left(name: str, used: float, cap: float) -> str:
    remaining = max(cap - used, 0)
    if name == "max_cost_usd":
        tenth = int(remaining * 10 / cap + 1e-9) if cap else 0
        return f"about ${cap * tenth / 10:.2f} of ${cap:.2f}"
    counted = name not in ("max_seconds", "max_tokens")
    if counted and remaining <= 5:
        return f"{remaining:,.0f} of {cap:,.0f} {_word(name)}"
    tenth = int(remaining * 10 / cap + 1e-9) if cap else 0
    return f"about {cap * tenth / 10:,.0f} of {cap:,.0f} {_word(name)}"


def _bounded(problem: str) -> str:
    return cut(clean(problem), PROBLEM_CHARS)
