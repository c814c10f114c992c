"""The long tests: large files, many trees with faults, many replies. Run by `make soak`."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

import rlm
from rlm.reply import Exec, Final, ParseError, parse
from rlm.testing import LoopbackServer, ScriptedLM
from soak.sizes import times

pytestmark = pytest.mark.soak

PRICES = {"root": (1, 10), "sub": (1, 10)}


def test_two_gigabytes_are_searched_in_a_guest_of_256_mb(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    piece = b"a line of text that nobody looks for\n" * 100_000
    with path.open("wb") as file:
        while file.tell() < 2 * 1024**3:
            file.write(piece)
        file.write(b"\xff\xfe The magic number is 2026.\n")
    cell = (
        "[found] = context.search(r'magic number is (\\d+)')\n"
        "try:\n    context.text\nexcept MemoryError as e: print(e)\n"
        "submit(answer=context[found.start:found.end])"
    )
    with ScriptedLM([f"```repl\n{cell}\n```"]) as lm:
        result = rlm.completion(
            "Which?", context=rlm.File(path), model=lm, limits={"memory_mb": 256}
        )
    assert result.value == "magic number is 2026"
    [turn] = result.turns()
    assert turn.execution is not None and "search" in turn.execution.stdout


@pytest.mark.parametrize("seed", range(times(40)))
def test_a_tree_with_faults_never_spends_more_than_its_purse(seed: int) -> None:
    draw = random.Random(seed)
    width = draw.randint(2, 12)
    cell = f"```repl\nrs = parallel_queries(*[f'part {{i}}' for i in range({width})])\nlen(rs)\n```"
    script = {
        "replies": [
            {"when": {"last_contains": "part "}, "reply": "word " * draw.randint(1, 400)},
            {"when": {"contains": "Cell 1"}, "reply": "```repl\nsubmit(answer='done')\n```"},
            {"when": {"contains": "last request"}, "reply": "```final\ndone\n```"},
        ],
        "default": cell,
        "faults": {"rate": 0.2, "seed": seed, "kinds": [{"status": 500}, "reset", "malformed"]},
    }
    cap = Decimal(str(round(draw.uniform(0.02, 0.5), 3)))
    with LoopbackServer(script, prices=PRICES) as server:
        names = [rlm.Model(f"openai/{name}", base_url=server.openai_url) for name in PRICES]
        result = rlm.completion(
            "How much?",
            context="text " * 1000,
            model=names[0],
            sub_model=names[1],
            prices={f"openai/{name}": price for name, price in PRICES.items()},
            limits={
                "max_cost_usd": cap,
                "max_concurrency": draw.choice([1, 4, 16]),
                "max_output_tokens": 1000,
            },
        )
        assert server.billed.dollars <= cap
        assert result.cost is not None
        assert result.cost >= server.billed.dollars


def test_any_text_is_an_action_or_a_sentence_for_the_model() -> None:
    draw = random.Random(3)
    pieces = [
        "```",
        "repl\n",
        "python\n",
        "final\n",
        '{"action":',
        '"exec"',
        '"code":',
        "}",
        "{",
        "\n",
    ]
    pieces += [
        "<rlm-code>",
        "</rlm-code>",
        "<rlm-final>",
        "FINAL(",
        ")",
        "x = 1",
        "'",
        '"',
        "<think>",
    ]
    for _ in range(times(200_000)):
        text = "".join(draw.choice(pieces) for _ in range(draw.randint(0, 14)))
        try:
            assert isinstance(parse(text), (Exec, Final))
        except ParseError as problem:
            assert str(problem)
