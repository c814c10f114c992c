"""`rlm models` and `rlm schema`: what there is to choose from, and what a log looks like."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rlm.catalog import ModelFacts

__all__ = ["EXAMPLES", "KEYS", "keys_set", "models", "schema"]

EXAMPLES = """[bold]Examples[/bold]
  rlm models gemini-3
  rlm models openai/ --json
"""

KEYS = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AZURE_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "OPENROUTER_API_KEY",
    "TOGETHERAI_API_KEY",
    "XAI_API_KEY",
)
"""The variables that hold the commonest providers' keys."""

_MILLION = Decimal(1_000_000)


def keys_set() -> list[str]:
    """Return the names of those variables that are set; never their values."""
    return [name for name in KEYS if os.environ.get(name)]


def models(
    filter: Annotated[str | None, typer.Argument(metavar="FILTER", help="Part of a name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models: window in tokens, and dollars per million input and output tokens.

    The table is litellm's, read from disk. Other names work too: openai/NAME
    with --base-url for any compatible server, with its --price.
    """
    from rlm import catalog
    from rlm.cli import terminal

    wanted = (filter or "").lower()
    found = {name: catalog.facts(name) for name in catalog.models() if wanted in name.lower()}
    default = os.environ.get("RLM_MODEL") or None
    if as_json:
        rows = [_row(name, facts) for name, facts in found.items()]
        terminal.write_json({"default": default, "keys": keys_set(), "models": rows})
        return
    console = terminal.output_console()
    wide = max((len(name) for name in found), default=0)
    if found:
        console.print(
            f"{'model':<{wide}} {'window':>11} {'in $/M':>9} {'out $/M':>9}", style="bold"
        )
    for name, facts in found.items():
        row = _row(name, facts)
        window = f"{row['window']:,}" if row["window"] else "?"
        prices = f"{_short(row['input']):>9} {_short(row['output']):>9}"
        console.print(f"{name:<{wide}} {window:>11} {prices}", soft_wrap=True)
    err = terminal.error_console()
    if filter and not found:
        err.print(f"no model in the table has {filter!r} in its name", soft_wrap=True)
    err.print(f"default (RLM_MODEL): {default or 'not set'}", soft_wrap=True)
    err.print(f"keys set: {', '.join(keys_set()) or 'none'}", soft_wrap=True)


def _row(name: str, facts: ModelFacts) -> dict[str, Any]:
    price = facts.price
    return {
        "name": name,
        "window": facts.window,
        "max_output": facts.max_output,
        "input": _dollars(price.input) if price else None,
        "output": _dollars(price.output) if price else None,
    }


def _dollars(a_token: Decimal) -> str:
    """Return dollars a million tokens, without needless digits: `0.25`, `2`, `0.075`."""
    text = f"{a_token * _MILLION:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _short(dollars: str | None) -> str:
    """Return dollars to a hundredth of a cent; `?` is an unknown price."""
    if dollars is None:
        return "?"
    return f"{Decimal(dollars):.4f}".rstrip("0").rstrip(".")


def schema() -> None:
    """Print the JSON Schema of one line of a log."""
    from rlm.cli import terminal
    from rlm.events import json_schema

    terminal.write_json(json_schema())
