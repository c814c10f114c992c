"""Nothing gets out of a sandbox that gets out of a bare `exec`."""

from __future__ import annotations

import os
import sys

import pytest

from .__main__ import controlled, tried
from .case import Case, case, from_path, sample, tables

linux = pytest.mark.skipif(sys.platform != "linux", reason="the referee's namespaces are Linux's")
CASES = tables()
SEED = int(os.environ.get("ESCAPES_SEED", "1"))
PARTS = 4
a_quarter = pytest.mark.parametrize(
    "number", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, PARTS))]
)


def part(cases: tuple[Case, ...], number: int) -> tuple[Case, ...]:
    """Return one of the parts that tests run beside each other, with all topics in each."""
    return cases[number::PARTS]


def breaches(kind: str, cases: tuple[Case, ...]) -> dict[str, list[str]]:
    found = tried(kind, cases)
    assert found.keys() == {one.name for one in cases if kind not in one.allowed_in}
    return {name: harms for name, harms in found.items() if harms}


def test_there_are_cases_enough_and_nearly_all_have_a_control() -> None:
    assert len(CASES) >= 180
    assert sum(one.control is None for one in CASES) < 0.15 * len(CASES)


@linux
@a_quarter
def test_each_case_works_against_a_bare_exec(number: int) -> None:
    """A quarter of the cases, and the others in the long run."""
    cases = tuple(one for one in part(CASES, number) if one.control)
    found = controlled(cases)
    assert [one.name for one in cases if not found.get(one.name)] == []


@linux
@pytest.mark.parametrize("number", range(PARTS))
def test_nothing_gets_through_process(number: int) -> None:
    assert breaches("process", sample(part(CASES, number), 0, SEED)) == {}


@linux
@pytest.mark.parametrize("kind", ["programs", "command"])
def test_nothing_of_a_sample_gets_through_process_with_programs_and_command(kind: str) -> None:
    """With processes allowed, and behind a command that adds no wall; all of it in the long run."""
    assert breaches(kind, sample(CASES, 0, SEED)[SEED % 6 :: 6]) == {}


@linux
@pytest.mark.docker
@a_quarter
def test_nothing_gets_through_docker(number: int) -> None:
    """A quarter of the cases, and the others in the long run."""
    assert breaches("docker", sample(part(CASES, number), 0, SEED)) == {}


@linux
@pytest.mark.soak
@pytest.mark.parametrize("kind", ["programs", "command"])
def test_nothing_gets_through_in_the_long_run(kind: str) -> None:
    assert breaches(kind, CASES) == {}


@linux
def test_a_wall_that_falls_is_seen() -> None:
    """The referee and the control agree on what a harmless cell is, and on one that does harm."""
    harmless = case("says_nothing", "1 + 1")
    honest = case("says_that_it_won", "won()")
    for found in (tried("process", (harmless, honest)), controlled((harmless, honest))):
        assert found["says_nothing"] == []
        assert found["says_that_it_won"] != []


def test_cases_come_from_elsewhere_too(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    text = "from tests.escapes import case\nCASES = (case('one', 'print(1)', seconds=2),)\n"
    (folder / "held_out.py").write_text(text, encoding="utf-8")
    [found] = from_path(folder)
    assert (found.name, found.topic, found.limits["seconds"]) == ("one", "held_out", 2)
    assert from_path(folder / "held_out.py") == (found,)
