"""What the tests of prompts share: one signature, one opening, and how a text is pinned."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from rlm.events import ModelFact, ToolFact
from rlm.limits import Limits
from rlm.prompt import Opening, describe
from rlm.signature import Signature

SNAPSHOTS = Path(__file__).parent / "snapshots"

SIGNATURE = Signature.parse(
    "context, question -> answer: str, pages: list[int]", "Answer from the context alone."
)
MODELS = (
    ModelFact(
        name="openai/large",
        role="allowed",
        input_price=Decimal("1.25"),
        output_price=Decimal(10),
        window=400_000,
    ),
    ModelFact(name="local/unpriced", role="allowed", window=128_000, window_known=False),
    ModelFact(
        name="openai/small",
        role="sub",
        input_price=Decimal("0.05"),
        output_price=Decimal("0.4"),
        window=400_000,
    ),
)
TOOLS = (
    ToolFact(
        name="lookup",
        category="read_only",
        signature="(name: str) -> dict[str, str]",
        description="What the register says about a company.",
    ),
    ToolFact(name="send", category="write", signature="(to: str)", description="Send it."),
    ToolFact(name="wipe", category="needs_approval", signature="()", description="Never offered."),
    ToolFact(name="drop", category="disabled", signature="()", description="Never offered."),
)


def make_opening(**changes: Any) -> Opening:
    """An opening over a small and a large input."""
    values: dict[str, Any] = {
        "signature": SIGNATURE,
        "task": "Which pages speak of tin?",
        "inputs": (
            describe("context", "".join(f"page {n}: copper and tin\n" for n in range(9000))),
            describe("question", "Which pages speak of tin?"),
        ),
        "limits": Limits(max_cost_usd=Decimal("1.50"), max_sub_calls=200),
        "models": MODELS,
        "context_name": "context",
    }
    return Opening(**{**values, **changes})


def pinned(name: str, text: str) -> None:
    """Compare a text with its snapshot; RLM_UPDATE_SNAPSHOTS=1 writes the snapshot instead."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("RLM_UPDATE_SNAPSHOTS") == "1":
        path.write_text(text + "\n", encoding="utf-8")
    assert path.exists(), f"no snapshot {path.name}: run with RLM_UPDATE_SNAPSHOTS=1"
    assert text + "\n" == path.read_text(encoding="utf-8")


def block(text: str, mark: str) -> str:
    """Read the first block with this mark as a reader of the prompt would: up to its own end."""
    start = re.search(rf"<({mark}(?:-\d+)?)(?: [^>\n]*)?>\n", text)
    assert start is not None, f"no <{mark}> in {text!r}"
    rest = text[start.end() :]
    return rest[: rest.index(f"\n</{start.group(1)}>")]
