from __future__ import annotations

import sys

import pytest
from spending import measured

from bench.measure import run_program

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

GIGABYTE = 1_000_000_000
MEGABYTE = 1 << 20


@pytest.mark.parametrize("value", ["'x' * {}", "'é' * {}", "'ж' * ({} // 2)", "b'x' * {}"])
def test_a_gigabyte_has_one_copy_beside_it(value: str) -> None:
    spent = measured(value.format(GIGABYTE), True)
    assert spent["host"] < 16 * MEGABYTE  # the one copy is the memory file
    assert spent["own"] < 8 * MEGABYTE
    assert spent["peak"] < 16 * MEGABYTE


@pytest.mark.parametrize("kind", ["ascii", "wide"])
def test_eight_sessions_that_read_a_gigabyte_add_less_than_64_mb(kind: str) -> None:
    none = run_program("shares", "0", "none", "8")["own"]
    assert (run_program("shares", str(GIGABYTE), kind, "8")["own"] - none) / 1024 < 64


def test_a_cell_that_prints_a_gigabyte_costs_the_host_less_than_50_mb() -> None:
    assert run_program("prints", str(GIGABYTE))["host"] / 1024 < 50
