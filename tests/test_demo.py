from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from isolated import no_network

from rlm import demo
from rlm.events import InputStored, RunStarted
from rlm.result import Result
from rlm.trace import Trace

SMALL = 2
PROGRAM = """
import sys
from rlm.demo import run_demo
sys.exit(0 if run_demo(log_dir=sys.argv[1], echo=print) else 1)
"""


def test_the_same_seed_builds_the_same_text_and_another_seed_another() -> None:
    first, again = demo.build(size_mb=SMALL, seed=3), demo.build(size_mb=SMALL, seed=3)
    assert first == again
    assert demo.build(size_mb=SMALL, seed=4).sha256 != first.sha256
    assert demo.build(size_mb=SMALL, seed=4).sources == first.sources


def test_the_haystack_is_large_real_and_has_one_needle() -> None:
    hay = demo.build(size_mb=50)
    assert len(hay.text) >= 50_000_000
    assert sys.getsizeof(hay.text) < 1.01 * len(hay.text)
    assert re.findall(r"magic number is (\d+)", hay.text) == [str(hay.needle)]
    assert hay.text[hay.needle_at :].startswith(f"The magic number is {hay.needle}.\n")
    assert "class JSONDecoder" in hay.text
    counted = Counter(re.findall(r"(?m)^[ \t]*raise[ \t]+([A-Za-z_]\w*)", hay.text))
    assert counted == hay.raised


def test_rr01_the_demo_answers_both_questions_without_a_network(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*no_network(), sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no language model" in ran.stdout
    assert ran.stdout.count("\n   right   ") == 2
    assert ran.stdout.endswith("Both answers are right.\n")
    logs = re.findall(r"^   log     (.+)$", ran.stdout, re.MULTILINE)
    assert [Result(Trace.read(log)).status for log in logs] == ["completed", "completed"]


def test_a_log_of_the_demo_names_what_rebuilds_its_input(tmp_path: Path) -> None:
    said: list[str] = []
    seen: list[object] = []
    assert demo.run_demo(
        log_dir=tmp_path, size_mb=SMALL, seed=9, echo=said.append, sink=seen.append
    )
    assert seen, "the sink is told while it runs"
    built = demo.build(size_mb=SMALL, seed=9)
    for log in tmp_path.glob("*.jsonl"):
        trace = Trace.read(log)
        started, stored = trace.first(RunStarted), trace.first(InputStored)
        assert started is not None
        assert set(built.recipe) <= set(started.tags)
        assert stored is not None
        assert stored.sha256.removeprefix("sha256:") == built.sha256
    assert (tmp_path / "blobs" / built.sha256).read_bytes() == built.text.encode()


@pytest.mark.parametrize("lie", ["no needle", "another count"])
def test_a_wrong_answer_is_called_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    hay = demo.build(size_mb=SMALL)
    if lie == "no needle":
        hay = dataclasses.replace(hay, text=hay.text.replace(f"is {hay.needle}.", "is gone."))
    else:
        hay = dataclasses.replace(hay, raised={"ValueError": 1})
    monkeypatch.setattr(demo, "build", lambda **how: hay)
    said: list[str] = []
    assert not demo.run_demo(log_dir=tmp_path, size_mb=SMALL, echo=said.append)
    assert sum(line.startswith("   WRONG") for line in said) == 1
    assert said[-1] == "Not both answers are right."
