"""A needle in a haystack: 2,000 random lines, and one of them says the secret number.

Set RLM_MODEL (and the key of its provider) to ask a language model instead of the embedded
program `offline/needle`.
"""

from __future__ import annotations

import os
import random

import rlm

LINES = 2_000
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty"]


def haystack(chosen: random.Random) -> tuple[str, int]:
    """Return random lines and the secret number that one of them says."""
    lines = [" ".join(chosen.choices(WORDS, k=12)) for _ in range(LINES)]
    secret = chosen.randrange(1_000_000, 10_000_000)
    lines[chosen.randrange(LINES)] = f"The secret number is {secret}."
    return "\n".join(lines), secret


def main() -> None:
    """Run the example."""
    text, secret = haystack(random.Random())
    result = rlm.predict(
        "haystack -> secret_number: int",
        input={"haystack": text},
        instructions="One of the lines says a secret number. What is the secret number?",
        model=os.environ.get("RLM_MODEL", "offline/needle"),
        on_event=show,
        log_dir="logs",
    )
    print("\nanswer:", result.value)
    print("right:", result.value == secret)
    print(f"took {result.seconds:.2f} s and {result.llm_calls} model calls; log: {result.log}")


def show(event: object) -> None:
    """Print each cell of the model and what it printed, while the run goes on."""
    match getattr(event, "type", ""):
        case "cell_started":
            print("\n>>>", event.code.replace("\n", "\n... "))
        case "code_executed":
            print(event.stdout.rstrip())


if __name__ == "__main__":
    main()
