"""One run over a large input, with its times and the memory that it takes here and in the guest.

Arguments: SIZE in bytes as the interpreter holds it, and KIND: ascii, wide (two bytes a character)
or bytes.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import rlm

_LINES: dict[str, Any] = {
    "ascii": "The quick brown fox jumps over the lazy dog, again and again and again.\n",
    "wide": "Съешь же ещё этих мягких французских булок, да выпей чаю, снова и снова\n",
    "bytes": b"The quick brown fox jumps over the lazy dog, again and again and again.\n",
}
_PIECE = 1 << 18
_CELL = """
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
submit(answer=[len(context), int(fields["VmHWM"].split()[0]), staged()])
"""


def main(size: int, kind: str) -> None:
    rlm.predict  # noqa: B018 - loads what a run needs
    length = size // 2 if kind == "wide" else size
    line = _LINES[kind]
    given = (line * (length // len(line) + 1))[:length]
    copying = _copying(given)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts again here
    resident, shared = _field("self/status", "VmRSS"), _field("meminfo", "Shmem")

    def staged() -> int:
        """Say how much shared memory there is that was not there before."""
        return _field("meminfo", "Shmem") - shared

    result = rlm.predict(
        f"context: {'bytes' if kind == 'bytes' else 'str'} -> answer: list[int]",
        input={"context": given},
        model=lambda request: f"```repl{_CELL}```",
        tools=[staged],
    )
    assert result.ok and result.value[0] == length, result.error
    facts = {
        "cell": next(event.t for event in result.trace if event.type == "session_opened"),
        "copying": copying,
        "input": size / 1024,
        "host": _field("self/status", "VmHWM") - resident + result.value[2],
        "guest": result.value[1],
    }
    print(json.dumps(facts))


def _copying(given: str | bytes) -> float:
    """Return the seconds that it takes to read all of it and write it elsewhere."""
    began = time.perf_counter()
    with open("/dev/null", "wb") as nowhere:
        for at in range(0, len(given), _PIECE):
            piece = given[at : at + _PIECE]
            nowhere.write(piece if isinstance(piece, bytes) else piece.encode())
    return time.perf_counter() - began


def _field(file: str, field: str) -> int:
    """Return a field of a file in /proc, in KiB."""
    lines = Path(f"/proc/{file}").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


main(int(sys.argv[1]), sys.argv[2])
