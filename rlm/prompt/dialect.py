"""How a cell and an answer are spelled in each dialect, as the prompts teach it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rlm.signature import Signature

__all__ = ["Dialect", "answer_form", "exec_form", "submit_call"]

Dialect = Literal["fence", "json", "tags"]
"""Which spelling of actions the prompt teaches; all three are always understood."""

_EXEC = {
    "fence": "```repl\n{}\n```",
    "tags": "<rlm-code>\n{}\n</rlm-code>",
}
_FINAL = {
    "fence": "```final\n{{{}}}\n```",
    "json": '{{"action": "final", "answer": {{{}}}}}',
    "tags": "<rlm-final>{{{}}}</rlm-final>",
}


def exec_form(dialect: Dialect, code: str) -> str:
    """Return a reply that runs `code`."""
    if dialect == "json":
        return '{"action": "exec", "code": ' + json.dumps(code, ensure_ascii=False) + "}"
    return _EXEC[dialect].format(code)


def answer_form(dialect: Dialect, signature: Signature) -> str:
    """Return a reply that gives the outputs without running code."""
    keys = ", ".join(f'"{field.name}": …' for field in signature.outputs)
    return _FINAL[dialect].format(keys)


def submit_call(signature: Signature) -> str:
    """Return the call that gives the outputs from a cell."""
    return f"submit({', '.join(f'{field.name}=...' for field in signature.outputs)})"
