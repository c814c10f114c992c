"""What models cost and hold, from litellm's own table, without importing litellm."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlm.usage import Price

__all__ = ["ModelFacts", "facts", "models"]

TABLE = "model_prices_and_context_window_backup.json"
OURS = ("chat", "responses")
ALIASES = {
    "bedrock": "bedrock_converse",
    "cohere": "cohere_chat",
    "vertex_ai": "vertex_ai-language-models",
}
"""Providers that the table lists under a second name."""
PARTS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
}
LAYOUT = 1
"""The form of the cache file; a file of another form is not read."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model: its price, its window and its longest answer in tokens.

    `None` is unknown, and never free or unlimited. `known` tells whether the table has the name.
    """

    price: Price | None = None
    window: int | None = None
    max_output: int | None = None
    known: bool = False


@cache
def facts(name: str) -> ModelFacts:
    """Return what litellm's table says of a model.

    A name is looked up as it is; `provider/model` also as `model` if the table lists that under
    the same provider (as it does for OpenAI and Anthropic). Nothing else is guessed: a similar
    name may have another price. A price that is absent, in another unit than tokens, or zero is
    unknown: the table writes zero for local models and for those whose price it does not know.
    """
    row = _row(name)
    if row is None:
        return ModelFacts()
    return ModelFacts(_price(row), row.get("window"), row.get("max_output"), known=True)


def models(provider: str | None = None) -> list[str]:
    """Return the names of all chat models in the table, or of one provider's, sorted."""
    wanted = {provider, ALIASES.get(provider or "")}
    rows = _rows().items()
    return sorted(name for name, row in rows if provider is None or row["provider"] in wanted)


def _row(name: str) -> Row | None:
    rows = _rows()
    if name in rows:
        return rows[name]
    provider, _, bare = name.partition("/")
    row = rows.get(bare)
    return row if row and row["provider"] in (provider, ALIASES.get(provider)) else None


def _price(row: Row) -> Price | None:
    parts = row.get("price")
    if parts is None:
        return None
    tiers = tuple((above, _exact(dearer)) for above, dearer in row.get("tiers", ()))
    return _exact(parts).model_copy(update={"tiers": tiers})


def _exact(parts: dict[str, float]) -> Price:
    return Price(**{part: Decimal(repr(value)) for part, value in parts.items()})


# -- the table ---------------------------------------------------------------------------------

_lock = threading.Lock()
_loaded: dict[str, Row] = {}


def _rows() -> dict[str, Row]:
    """Return the table, read once a process; empty when litellm is not installed."""
    if not _loaded:
        with _lock:
            path = _table_path()
            if path is not None and not _loaded:
                _loaded.update(_read(path))
    return _loaded


def _table_path() -> Path | None:
    # of the package alone: looking for a submodule would import its parent
    spec = find_spec("litellm")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / TABLE
        if path.is_file():
            return path
    return None


def _read(path: Path) -> dict[str, Row]:
    """Return the table's rows, from the cache file of exactly this table if there is one."""
    stat = path.stat()
    stamp = [LAYOUT, _version(), stat.st_size, stat.st_mtime_ns]
    kept = _cache_path()
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["stamp"] == stamp:
            return dict(found["rows"])
    except (OSError, ValueError, TypeError, LookupError):
        pass  # none yet, or of another version: it is made anew
    table = json.loads(path.read_text(encoding="utf-8"))
    rows = {name: _compact(raw) for name, raw in table.items() if raw.get("mode") in OURS}
    _keep(kept, json.dumps({"stamp": stamp, "rows": rows}))
    return rows


def _version() -> str:
    try:
        return version("litellm")
    except PackageNotFoundError:  # a checkout on the path: its size and date tell it apart
        return ""


def _cache_path() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    if home:
        return Path(home) / "rlm" / "models.json"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rlm" / "models.json"
    return Path.home() / ".cache" / "rlm" / "models.json"


def _keep(path: Path, text: str) -> None:
    """Write the cache file in one step; where that is not possible there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".models-", delete=False
        ) as file:
            file.write(text)
        os.replace(file.name, path)
    except OSError:
        return


def _compact(raw: Row) -> Row:
    """Return what is ours of one model's entry."""
    row: Row = {"provider": raw.get("litellm_provider")}
    for ours, theirs in (("window", "max_input_tokens"), ("max_output", "max_output_tokens")):
        if isinstance(raw.get(theirs), int) and raw[theirs] > 0:
            row[ours] = raw[theirs]
    tiers = _ranges(raw) or _thresholds(raw)
    price = _parts(raw) or (tiers and tiers[0][1])
    if price and "input_cost_per_request" not in raw and all(_paid(price)):
        row["price"] = price
        if dearer := [[above, {**price, **parts}] for above, parts in tiers if above]:
            row["tiers"] = dearer
    return row


def _paid(price: dict[str, float]) -> tuple[bool, bool]:
    return price["input"] > 0, price["output"] > 0


def _parts(raw: Row, suffix: str = "") -> dict[str, float] | None:
    """Return the prices of one level, None without a price for both input and output."""
    found = {part: raw.get(name + suffix) for part, name in PARTS.items()}
    known = {part: value for part, value in found.items() if isinstance(value, int | float)}
    return known if suffix or known.keys() >= {"input", "output"} else None


def _thresholds(raw: Row) -> list[tuple[int, dict[str, float]]]:
    """Return the tiers written as `input_cost_per_token_above_200k_tokens`."""
    prefix = PARTS["input"] + "_above_"
    ends = [name.removeprefix(prefix) for name in raw if name.startswith(prefix)]
    sizes = [int(end.removesuffix("k_tokens")) for end in ends if end.endswith("k_tokens")]
    return [(size * 1000, _parts(raw, f"_above_{size}k_tokens") or {}) for size in sorted(sizes)]


def _ranges(raw: Row) -> list[tuple[int, dict[str, float]]]:
    """Return the tiers written as a list of ranges; the first begins at 0."""
    found = raw.get("tiered_pricing")
    levels = [level for level in found if "range" in level] if isinstance(found, list) else []
    return [(int(level["range"][0]), parts) for level in levels if (parts := _parts(level))]
