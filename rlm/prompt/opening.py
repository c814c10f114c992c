"""The opening of a call: the stable system text, and the task with its inputs described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from rlm.events import InputFact, ModelFact, ToolFact
from rlm.limits import Limits
from rlm.lm.base import Message
from rlm.prompt.describe import EXCERPT_CHARS, VALUE_CHARS
from rlm.prompt.dialect import Dialect, answer_form, exec_form, submit_call
from rlm.prompt.query import output_lines, render
from rlm.prompt.quote import clean, one_line, quoted
from rlm.prompt.texts import fill

if TYPE_CHECKING:
    from rlm.signature import Signature

__all__ = ["Opening", "opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a call is opened with.

    `task` is the question, always shown whole. `depth_left` is how many levels of models may
    still be below this call: at 0 no sub-calls are offered, at 1 they are single completions.
    `models` are those that sub-calls may name. `context_name` is the variable to look at first.
    """

    signature: Signature
    task: str
    inputs: Sequence[InputFact] = ()
    limits: Limits = field(default_factory=Limits)
    dialect: Dialect = "fence"
    depth_left: int = 2
    models: Sequence[ModelFact] = ()
    tools: Sequence[ToolFact] = ()
    context_name: str | None = None


def opening(o: Opening) -> tuple[Message, Message]:
    """Return the first two messages of a call: the system text and the task."""
    return Message("system", _system(o)), Message("user", _user(o))


def _system(o: Opening) -> str:
    return fill(
        "system",
        dialect=_dialect(o),
        shown=f"{o.limits.max_output_chars:,}",
        functions=_functions(o),
        rules=_rules(o),
        limits=_limits(o),
        outputs=_outputs(o),
    )


def _dialect(o: Opening) -> str:
    look = f"print({o.context_name}[:500])" if o.context_name else "show_vars()"
    return fill(
        f"dialect_{o.dialect}",
        exec=exec_form(o.dialect, look),
        final=answer_form(o.dialect, o.signature),
    )


def _functions(o: Opening) -> str:
    parts = [fill("functions", submit=submit_call(o.signature))]
    if any(map(_has_files, o.inputs)):
        parts.append(fill("functions_file"))
    if o.depth_left > 0:
        by_hand = ", recursive=None" if o.depth_left > 1 else ""
        parts.append(fill("functions_sub_calls", by_hand=by_hand))
    parts += [_tool(tool) for tool in o.tools if tool.category in ("read_only", "write")]
    if o.depth_left > 0 and o.models:
        roster = "\n".join(_model(model) for model in _by_price(o.models))
        parts.append(f"\nModels for sub-calls, cheapest first:\n\n{roster}")
    return "\n".join(parts)


def _has_files(fact: InputFact) -> bool:
    """Whether the description of an input shows a file, be it in a container."""
    inside = fact.unit != "characters" and ("File" in fact.shape or "<File>" in fact.head)
    return fact.type == "File" or inside


def _tool(tool: ToolFact) -> str:
    described = one_line(tool.description, 600).rstrip(".")
    text = f"- `{tool.name}{tool.signature}`: {described or 'a tool of this run'}."
    return f"{text} It changes things." if tool.category == "write" else text


def _by_price(models: Sequence[ModelFact]) -> list[ModelFact]:
    def price(model: ModelFact) -> tuple[bool, Decimal]:
        known = model.input_price is not None and model.output_price is not None
        return not known, (model.input_price or Decimal(0)) + (model.output_price or Decimal(0))

    return sorted(models, key=price)


def _model(model: ModelFact) -> str:
    if model.input_price is None or model.output_price is None:
        price = "price unknown"
    else:
        price = f"${model.input_price:f} in and ${model.output_price:f} out a million tokens"
    window = "window unknown" if model.window is None else f"window {model.window:,} tokens"
    if model.window is not None and not model.window_known:
        window += " (assumed)"
    default = " (default)" if model.role == "sub" else ""
    return f"- `{model.name}`{default}: {price}, {window}"


def _rules(o: Opening) -> str:
    if o.depth_left <= 0:
        return fill("rules")
    reach = fill("reach_child" if o.depth_left > 1 else "reach_completion")
    return fill("rules") + "\n" + fill("rules_sub_calls", reach=reach)


def _limits(o: Opening) -> str:
    limits = o.limits
    money = None if limits.max_cost_usd is None else f"${limits.max_cost_usd:f}"
    asks = o.depth_left > 0
    named = (
        ("turns of this session", limits.max_iterations),
        ("sub-calls", limits.max_sub_calls if asks else None),
        ("sub-calls at the same time", limits.max_concurrency if asks else None),
        ("model calls", limits.max_llm_calls),
        ("tool calls", limits.max_tool_calls if o.tools else None),
        ("tokens", limits.max_tokens),
        ("money", money),
        ("seconds", limits.max_seconds),
        ("seconds of one cell, without the time that sub-calls take", limits.cell_seconds),
        ("mebibytes of memory beyond the inputs", limits.memory_mb),
        ("tokens in one of your replies", limits.max_output_tokens),
    )
    shown = [(name, value) for name, value in named if value is not None]
    return "\n".join(f"- {name}: {_number(value)}" for name, value in shown)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"


def _outputs(o: Opening) -> str:
    text = output_lines(o.signature)
    if any("(" in field.type_text for field in o.signature.outputs):
        text += "\n\nGive a record, as in `Name(field: type)`, as a dict."
    instructions = o.signature.instructions.strip()
    if instructions and instructions != o.task.strip():
        text += f"\n\n# Instructions\n\n{instructions}"
    return text


def _user(o: Opening) -> str:
    about = {field.name: field.description for field in o.signature.inputs}
    inputs = "\n\n".join(_input(fact, about.get(fact.name, "")) for fact in o.inputs) or "none"
    return fill("user", task=quoted("task", o.task), inputs=inputs)


def _input(fact: InputFact, about: str) -> str:
    parts = [f"`{fact.name}`: {_facts(fact)}"]
    if about:
        parts[0] += f". {about}"
    whole = _whole(fact)
    if whole is not None:
        return "\n".join([*parts, "The whole of it:", quoted("excerpt", clean(whole))])
    if fact.head:
        parts += ["Its beginning:", quoted("excerpt", clean(fact.head[:EXCERPT_CHARS]))]
    if fact.tail:
        parts += ["Its end:", quoted("excerpt", clean(fact.tail[-EXCERPT_CHARS:]))]
    return "\n".join(parts)


def _whole(fact: InputFact) -> str | None:
    """Return the value where it is small; the log may hold larger ones than a prompt shows."""
    if fact.value is not None:
        whole = render(fact.value)
        return whole if len(whole) <= VALUE_CHARS else None
    return None if fact.shape or fact.length is not None else fact.head


def _facts(fact: InputFact) -> str:
    parts = [one_line(fact.type)]
    if fact.content_type:
        parts[0] += f" ({one_line(fact.content_type)})"
    if fact.length is not None:
        parts.append(f"{fact.length:,} {fact.unit or 'items'}")
    if fact.tokens is not None:
        parts.append(f"about {fact.tokens:,} tokens")
    if fact.shape:
        parts.append(one_line(fact.shape, 3_000))
    return ", ".join(parts)
