"""Parallel analysis: five reviews, each read by a sub-model, long ones by the better one.

All sub-calls share one purse: at most 25 of them and $0.50. The embedded models cost nothing, so
this example gives them prices, to show what a bill looks like. Set RLM_MODEL and RLM_SUB_MODEL
(and the keys of their providers) to ask language models.
"""

from __future__ import annotations

import os

import rlm

REVIEWS = [
    "I love this kettle. It is fast, beautiful and reliable.",
    "Terrible. It leaks, it was late, and the support was rude. I want a refund.",
    "The colour is lovely and it boils fast, but it is noisy and the lid broke.",
    "Great value. I bought a second one for my parents, and they are happy with it as well. My "
    "neighbour saw it and was delighted; we now recommend it to everybody in the street. If there "
    "is one thing to say against it, it is the short cable, but a longer one came with it.",
    "Useless. It is slow and faulty.",
]
MOODS = "Literal['positive', 'negative', 'mixed']"
ROOT = os.environ.get("RLM_MODEL", "offline/needle")
SUB = os.environ.get("RLM_SUB_MODEL", "offline/reader")
PRICES = {"offline/needle": (2.0, 8.0), "offline/reader": (0.1, 0.4)}  # dollars a million tokens


def main() -> None:
    """Run the example."""
    result = rlm.predict(
        f"reviews: list[str] -> moods: list[{MOODS}]",
        input={"reviews": REVIEWS},
        instructions=(
            "Is each review positive, negative or mixed? Ask a sub-model about each, all at once. "
            f"Those longer than 200 characters go to {ROOT!r}, all others to {SUB!r}."
        ),
        model=ROOT,
        sub_model=SUB,
        prices=PRICES,
        limits=rlm.Limits(max_sub_calls=25, max_cost_usd=0.50),
    )
    for review, mood in zip(REVIEWS, result.value, strict=True):
        print(f"{mood:9} {review[:60]}")
    print(f"\n{result.status}: {result.sub_calls} sub-calls of at most 25")
    for call in result.calls():
        print(
            f"  {call.id:4} {call.model:15} {call.usage.total_tokens:6,} tokens  ${call.cost:.6f}"
        )
    print(f"cost: ${result.cost:.6f} of at most $0.50")
    for model, cost in result.cost_by_model.items():
        print(f"  {model}: ${cost:.6f}")


if __name__ == "__main__":
    main()
