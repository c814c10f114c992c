from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from isolated import no_network

from rlm.lm.base import Request
from rlm.lm.offline import create
from rlm.testing import LoopbackServer, ServerRequest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(
    name: str, folder: Path, environment: Mapping[str, str], *, network: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run an example as a reader would, without a key and, unless asked, without a network."""
    return subprocess.run(
        [*([] if network else no_network()), sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def output(name: str, folder: Path, **environment: str) -> str:
    ran = run(name, folder, environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_every_example_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'output("{path.stem}", tmp_path' in here


def test_rr98_quickstart(tmp_path: Path) -> None:
    said = output("quickstart", tmp_path)
    assert "launch code: K-4471\n" in said
    assert "invoices: 1560.5\n" in said
    assert "completed: 3 turns" in said


def test_rr98_needle_in_haystack(tmp_path: Path) -> None:
    said = output("needle_in_haystack", tmp_path)
    assert "right: True" in said
    log = re.search(r"log: (\S+)", said)
    assert log is not None
    assert (tmp_path / log[1]).stat().st_size > 1000


def test_rr98_parallel_analysis_routes_and_keeps_to_its_budget(tmp_path: Path) -> None:
    said = output("parallel_analysis", tmp_path)
    moods = re.findall(r"^(positive|negative|mixed) ", said, re.MULTILINE)
    assert moods == ["positive", "negative", "mixed", "positive", "negative"]
    calls = re.findall(r"^  0\.\d +(\S+)", said, re.MULTILINE)
    assert calls == ["offline/reader"] * 3 + ["offline/needle"] + ["offline/reader"]
    total = re.search(r"cost: \$([\d.]+) of at most \$0.50", said)
    assert total is not None
    parts = re.findall(r"  offline/\w+: \$([\d.]+)", said)
    assert Decimal("0.001") < Decimal(total[1]) < Decimal("0.5")
    assert abs(sum(map(Decimal, parts)) - Decimal(total[1])) < Decimal("0.000002")


def test_rb54_invoice_extraction_is_offline_unless_asked(tmp_path: Path) -> None:
    said = output("invoice_extraction", tmp_path, RLM_EXAMPLE_MODEL="openai/gpt-5-mini")
    assert said.startswith("offline: ")
    assert "status: completed" in said
    assert len(re.findall(r"^  2026-00\d  ", said, re.MULTILINE)) == 6
    for word in ("output: 25413.0", "run: ", "cost: $0.0000", "usage: input_tokens="):
        assert word in said


def test_rb54_invoice_extraction_looks_at_keys_only_when_it_runs_live(tmp_path: Path) -> None:
    asked = {"RLM_RUN_LIVE_EXAMPLE": "1", "RLM_EXAMPLE_MODEL": "openai/gpt-5-mini"}
    ran = run("invoice_extraction", tmp_path, asked)
    assert "offline: " not in ran.stdout
    assert "OPENAI_API_KEY" in ran.stdout + ran.stderr


def test_rb54_invoice_extraction_runs_live_with_the_models_that_are_named(tmp_path: Path) -> None:
    async def provider(request: ServerRequest) -> str:
        lm = create("offline/needle")
        return (await lm.complete(Request(request.messages))).text

    with LoopbackServer(provider) as server:
        live = {
            "RLM_RUN_LIVE_EXAMPLE": "1",
            "RLM_EXAMPLE_MODEL": "openai/gpt-5",
            "RLM_EXAMPLE_SUB_MODEL": "openai/gpt-5-mini",
            "OPENAI_BASE_URL": server.openai_url,
            "OPENAI_API_KEY": "sk-example-0123456789",
        }
        ran = run("invoice_extraction", tmp_path, live, network=True)
    assert "status: completed" in ran.stdout, ran.stdout + ran.stderr
    assert "output: 25413.0" in ran.stdout
    cost = re.search(r"cost: \$([\d.]+)", ran.stdout)
    assert cost is not None
    assert Decimal(cost[1]) > 0
    assert {request.model for request in server.requests} == {"gpt-5", "gpt-5-mini"}


def test_custom_lm(tmp_path: Path) -> None:
    assert output("custom_lm", tmp_path) == (
        "words: 4 by mine/counter\nparrot: Polly by function/parrot\n"
    )


@pytest.mark.parametrize("name", [path.stem for path in sorted(EXAMPLES.glob("*.py"))])
def test_an_example_is_short_and_says_what_it_is(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 80
