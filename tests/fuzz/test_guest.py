"""The guest's side, which trusts its host: whatever comes instead of one, it ends at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fuzz.grammar import junk, stream
from fuzz.source import Seeded
from rlm.guest.wire import pack

BIND = {"t": "bind", "version": 1, "variables": {}, "functions": []}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("bound", [False, True])
def test_a_guest_whose_host_talks_nonsense_ends(seed: int, bound: bool) -> None:
    source = Seeded(seed)
    messages = [{"t": "execute", "n": 1, "code": junk(source)}, junk(source), junk(source)]
    said = b"".join([*(pack(BIND) if bound else ()), *stream(source, messages)])
    guest = [sys.executable, "-m", "rlm.guest"]
    done = subprocess.run(guest, input=said + source.some(99), capture_output=True, timeout=60)
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr or done.returncode == 1
