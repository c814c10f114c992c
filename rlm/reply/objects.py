"""What a JSON object asks for, by the names of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlm.reply.actions import Exec, Final
from rlm.reply.code import mended
from rlm.reply.loose_json import loads

__all__ = ["Finding", "final_value", "from_object", "weak_final"]

Finding = Exec | Final | str | None
"""An action; or a sentence on what is wrong with it; or nothing that was meant as one."""

_EXEC = {
    "exec",
    "execute",
    "run",
    "code",
    "repl",
    "python",
    "exec_code",
    "run_code",
    "execute_code",
}
_FINAL = {"final", "finish", "submit", "answer", "final_answer", "done"}
_CODE_KEYS = ("code", "python", "source", "script", "input", "command")
_ANSWER_KEYS = (
    "answer",
    "final_answer",
    "final",
    "value",
    "output",
    "result",
    "response",
    "content",
)
_ARGUMENTS = ("arguments", "args", "parameters", "action_input", "input")
_NOTES = {
    "thought",
    "thoughts",
    "thinking",
    "reasoning",
    "rationale",
    "explanation",
    "plan",
    "comment",
}

_FORMS = (
    'Write {"action": "exec", "code": "…"} to run Python, '
    'or {"action": "final", "answer": …} to end.'
)


def from_object(value: Mapping[str, Any]) -> Finding:
    """Return what an object asks for, when it says so with an `action` or with code alone."""
    fields = {str(key).strip().lower(): item for key, item in value.items()}
    name = fields.pop("action", None) or None
    if isinstance(name, Mapping):  # {"action": {"name": "exec", …}} or {"action": {"exec": …}}
        return from_object({**name, "action": name["name"]} if "name" in name else name)
    fields = _flattened(fields)
    if name is None:
        return _without_action(fields)
    word = str(name).strip().lower()
    if word in _EXEC:
        return _exec(fields)
    if word in _FINAL:
        return _final(fields)
    return f"There is no action {str(name)[:80]!r}. {_FORMS}"


def _flattened(fields: dict[str, Any]) -> dict[str, Any]:
    """Lift the arguments of a tool call to the level of its name."""
    for key in _ARGUMENTS:
        inner = fields.get(key)
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                inner = loads(inner.strip())
            except ValueError:
                continue
        if isinstance(inner, dict):
            rest = {name: item for name, item in fields.items() if name != key}
            return {**rest, **{str(name).lower(): item for name, item in inner.items()}}
    return fields


def _without_action(fields: dict[str, Any]) -> Finding:
    name = fields.get("name", fields.get("tool", fields.get("type")))
    if isinstance(name, str) and name.lower() in _EXEC and "code" in fields:
        return _exec(fields)
    if isinstance(name, str) and name.lower() in _FINAL and "answer" in fields:
        return _final(fields)
    said = {key for key in fields if key not in _NOTES}
    if said == {"code"} and isinstance(fields["code"], str | list):
        return _exec(fields)
    if said == {"exec"} and isinstance(fields["exec"], str | dict):
        inner = fields["exec"]
        return _exec(inner if isinstance(inner, dict) else {"code": inner})
    if said >= {"code", "answer"}:
        return f"Your JSON object has both code and an answer, and no action. {_FORMS}"
    return None


def _exec(fields: Mapping[str, Any]) -> Finding:
    for key in _CODE_KEYS:
        code = fields.get(key)
        if isinstance(code, list) and all(isinstance(line, str) for line in code):
            code = "\n".join(code)
        if isinstance(code, str) and code.strip():
            return Exec(mended(_unfenced(code.replace("\r\n", "\n"))), dialect="json")
    return f'Your "exec" action has no code. {_FORMS}'


def _final(fields: Mapping[str, Any]) -> Finding:
    for key in _ANSWER_KEYS:
        if key in fields:
            return Final(fields[key], dialect="json")
    rest = {key: item for key, item in fields.items() if key not in _NOTES}
    if set(rest) == {"code"}:  # code that ends the run by itself
        return _exec(rest)
    if rest:
        return Final(rest, dialect="json")
    return f'Your "final" action has no answer. {_FORMS}'


def weak_final(value: Any, outputs: Sequence[str]) -> Final | None:
    """Return the answer of an object that names none but the outputs, or just an `answer`."""
    if not isinstance(value, Mapping):
        return None
    said = {str(key): item for key, item in value.items() if str(key).lower() not in _NOTES}
    if outputs and set(outputs) <= set(said):
        return Final({name: said[name] for name in outputs}, dialect="json")
    if len(said) == 1 and next(iter(said)).lower() in ("answer", "final_answer", "final"):
        return Final(next(iter(said.values())), dialect="json")
    return None


def final_value(text: str, outputs: Sequence[str] = ()) -> Any:
    """Return the value that the text of a final block stands for."""
    text = _unfenced(text.strip())
    if text[:1] in ("{", "["):
        try:
            return loads(text)
        except (ValueError, RecursionError):
            return text
    if len(outputs) > 1:
        return _named_lines(text, outputs) or text
    return text


def _named_lines(text: str, outputs: Sequence[str]) -> dict[str, str] | None:
    """Read `name: value` lines, when they name the outputs and nothing else."""
    pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
    found = {name.strip(" *`\"'-"): value.strip() for name, colon, value in pairs if colon}
    return found if len(found) == len(pairs) and set(found) == set(outputs) else None


def _unfenced(text: str) -> str:
    """Take off the fence around a text that is nothing but one fenced block."""
    stripped = text.strip()
    lines = stripped.split("\n")
    if len(lines) > 2 and lines[0].startswith("```") and "`" not in lines[0].lstrip("`"):
        body = "\n".join(lines[1:-1])
        if lines[-1].strip() == "```" and "\n```" not in f"\n{body}":
            return body
    return text
