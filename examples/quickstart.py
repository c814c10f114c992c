"""Quickstart: ask a question over a text, then a typed one. No key needed.

Set RLM_MODEL (and the key of its provider) to ask a language model instead of the embedded
program `offline/needle`.
"""

from __future__ import annotations

import os

import rlm

REPORT = """\
Quarterly report of the harbour office.
The launch code is K-4471.
The invoice total of North Quay is 1,250.00. It was paid in March.
The invoice total of South Quay is 310.50. It is open.
The harbour master is Ida Holm.
"""


def main() -> None:
    """Run the example."""
    model = os.environ.get("RLM_MODEL", "offline/needle")

    # A question in words: the text becomes the variable `context` of a sandboxed session.
    result = rlm.completion("What is the launch code?", context=REPORT, model=model)
    print("launch code:", result.value)

    # A typed question: inputs and outputs by name; what comes back is validated.
    result = rlm.predict(
        "report -> total: float",
        input={"report": REPORT},
        instructions="What is the sum of all invoice totals?",
        model=model,
    )
    print("invoices:", result.output.total)

    # Everything a run did is on its result.
    cost = "unknown" if result.cost is None else f"${result.cost:.4f}"
    print(
        f"{result.status}: {result.iterations} turns, {result.usage.total_tokens:,} tokens, {cost}"
    )
    for turn in result.turns():
        print(f"  turn {turn.number}: {turn.reasoning.splitlines()[0]}")


if __name__ == "__main__":
    main()
