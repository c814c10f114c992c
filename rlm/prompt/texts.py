"""The Markdown texts beside this module: read once, filled by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

__all__ = ["fill"]

_FOLDER = Path(__file__).parent


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / f"{name}.md").read_text(encoding="utf-8").strip())


def fill(name: str, **values: object) -> str:
    """Return the text of `name.md` with its `$names` replaced; a missing one is a KeyError."""
    return _template(name).substitute(values)
