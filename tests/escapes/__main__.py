"""`python -m tests.escapes`: run the cases in a sandbox and print a table of verdicts."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .case import Case, from_path, sample, tables, to_json
from .said import SHARED
from .world import ENVIRONMENT

__all__ = ["controlled", "main", "tried"]


def controlled(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return what harm each case does without a sandbox.

    A busy machine gives them little time: one that has done nothing is tried once more, alone.
    """
    command = [sys._base_executable, "-s", "-m", f"{__package__}.bare"]  # type: ignore[attr-defined]
    found = _answer(command, to_json(one for one in cases if one.control))
    for one in cases:
        if one.control and not found.get(one.name):
            found |= _answer(command, to_json([one]))
    return found


def tried(kind: str, cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return what harm each case does in places of this kind.

    A host has one memory and one time for all cases that run beside each other: one that only these
    tell of is tried once more, alone.
    """
    command = [sys.executable, "-m", f"{__package__}.trying", kind]
    found = _answer(command, to_json(cases))
    for one in cases:
        harms = found.get(one.name)
        if harms and all(harm.startswith(SHARED) for harm in harms):
            found |= _answer(command, to_json([one]))
    return found


def _answer(command: Sequence[str], told: str) -> dict[str, list[str]]:
    """Run a program of this package with a secret in its environment; it answers in JSON."""
    root = str(Path(__file__).parents[__package__.count(".") + 1])
    paths = [root, str(Path(__file__).parents[2])]
    environment = {**os.environ, ENVIRONMENT: os.urandom(12).hex()}
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(
        command, input=told, stdout=subprocess.PIPE, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} has ended with {done.returncode}\n{done.stdout}")
    found: dict[str, list[str]] = json.loads(done.stdout.rpartition("\n==\n")[2])
    return found


def main() -> int:
    """Print, for each case: its control, and its verdict for each sandbox that is asked for."""
    options = _options()
    cases = from_path(options.cases) if options.cases else tables()
    cases = tuple(one for one in cases if options.only in f"{one.topic}/{one.name}")
    cases = sample(cases, options.soak, options.seed)
    control = {} if options.no_control else controlled(cases)
    verdicts = {kind: tried(kind, cases) for kind in options.sandbox}
    wide = max((len(one.name) for one in cases), default=4)
    bad = 0
    for one in cases:
        if one.name in control:
            worked = "works" if control[one.name] else "DOES NOTHING"
        else:
            worked = "-" if options.no_control or one.control else f"none: {one.why}"
        cells = []
        for kind, found in verdicts.items():
            harms = [] if kind in one.allowed_in else found.get(one.name, ["it was not run"])
            cells.append(f"{kind}: " + ("holds" if not harms else "BREACH: " + "; ".join(harms)))
            bad += bool(harms)
        bad += worked == "DOES NOTHING"
        shown = "" if worked != "works" else " (" + "; ".join(control[one.name])[:60] + ")"
        print(f"{one.topic:<12} {one.name:<{wide}}  control {worked}{shown}  {'  '.join(cells)}")
    without = sum(1 for one in cases if one.control is None)
    print(f"{len(cases)} cases, {without} without a control, {bad} to look at")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.escapes", description=__doc__)
    parser.add_argument("--sandbox", action="append", default=[], help="process, programs, …")
    parser.add_argument("--only", default="", help="cases whose topic/name has this in it")
    parser.add_argument("--cases", type=Path, help="a file or folder of tables instead of ours")
    parser.add_argument("--soak", type=float, default=1.0, help="share of the long cases")
    parser.add_argument("--seed", type=int, default=0, help="which of the long cases")
    parser.add_argument("--no-control", action="store_true", help="do not run the controls")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
