"""`python -m bench [NAME…] [--quick] [--json]`: run benches and write RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bench import context, fan_out, first_answer, imports, sandbox, tree, turn
from bench.measure import Figure

BENCHES = {
    "import": imports.measure,
    "first_answer": first_answer.measure,
    "turn": turn.measure,
    "fan_out": fan_out.measure,
    "duplicates": fan_out.measure_duplicates,
    "tree": tree.measure,
    "runs": tree.measure_runs,
    "child": tree.measure_child,
    "trace": turn.measure_trace,
    "context": context.measure,
    "session": sandbox.measure_session,
    "output": sandbox.measure_output,
    "sharing": sandbox.measure_sharing,
    "starts": sandbox.measure_starts,
}

_HEAD = """# Results

Written by `make bench`; README.md says how to read it.

"""
_COLUMNS = "| bench | figure | median | range | baseline | its median | ratio | target | |\n"


def main() -> int:
    chosen = _arguments()
    began, load = time.monotonic(), os.getloadavg()[0]
    figures: list[Figure] = []
    for name in chosen.names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        for figure in BENCHES[name](chosen.quick):
            figures.append(figure)
            print("  " + _line(figure), file=sys.stderr, flush=True)
    loads = f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    took = f"{time.monotonic() - began:.0f} s{' (quick)' if chosen.quick else ''}"
    facts = f"{machine()}; {loads}; took {took}"
    if chosen.json:
        print(json.dumps({"machine": facts, "figures": [_plain(f) for f in figures]}, indent=1))
    elif not chosen.names:
        text = _HEAD + facts + "\n\n" + table(figures)
        (Path(__file__).parent / "RESULTS.md").write_text(text, encoding="utf-8")
    missed = [figure for figure in figures if not figure.ok]
    for figure in missed:
        print(f"missed: {figure.bench}: {figure.name}", file=sys.stderr)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no 1 GB text")
    parser.add_argument("--json", action="store_true", help="print all figures, write no file")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in BENCHES]:
        parser.error(f"no such bench: {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    return chosen


def machine() -> str:
    """Return what of this machine matters for speed, without its name."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("pydantic", "aiohttp"))
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]} "
        f"{platform.machine()}, Python {platform.python_version()}, {packages}"
    )


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [_COLUMNS, "|---" * 9 + "|\n"]
    rows += [f"| {' | '.join(_cells(figure))} |\n" for figure in figures]
    return "".join(rows)


def _cells(figure: Figure) -> list[str]:
    ratio = figure.ratio
    theirs = sorted(figure.baseline)
    return [
        figure.bench,
        figure.name,
        f"{_number(figure.value)} {figure.unit}".strip(),
        f"{_number(min(figure.values))} to {_number(max(figure.values))}",
        figure.baseline_name,
        _number(theirs[len(theirs) // 2]) if theirs else "",
        f"{ratio:.2f} times" if ratio is not None else "",
        _target(figure),
        "" if figure.target is None else ("ok" if figure.ok else "**missed**"),
    ]


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"at most {figure.target:g}" + (
        " times" if figure.of_ratio else f" {figure.unit}".rstrip()
    )


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _line(figure: Figure) -> str:
    return "  ".join(cell for cell in _cells(figure)[1:] if cell)


def _plain(figure: Figure) -> dict[str, object]:
    return {**vars(figure), "value": figure.value, "ratio": figure.ratio}


if __name__ == "__main__":
    raise SystemExit(main())
