"""One run over a text of SIZE bytes, with its times and the peak memory of host and guest."""

import json
import sys
import time
from pathlib import Path

import rlm

_LINE = "The quick brown fox jumps over the lazy dog, again and again and again.\n"
_PIECE = 1 << 22
_CELL = """
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
submit(answer=[len(context), int(fields["VmHWM"].split()[0])])
"""


def main(size: int) -> None:
    rlm.predict  # noqa: B018 - loads what a run needs
    text = (_LINE * (size // len(_LINE) + 1))[:size]
    began = time.perf_counter()
    for at in range(0, size, _PIECE):
        text[at : at + _PIECE].encode()
    encoding = time.perf_counter() - began
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts again here
    before = _status("VmRSS")
    result = rlm.predict(
        "context -> answer: list[int]",
        input={"context": text},
        model=lambda request: f"```repl{_CELL}```",
    )
    assert result.ok and result.value[0] == size, result.error
    facts = {
        "cell": next(event.t for event in result.trace if event.type == "code_executed"),
        "encoding": encoding,
        "text": size / 1024,
        "host": _status("VmHWM") - before,
        "guest": result.value[1],
    }
    print(json.dumps(facts))


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


main(int(sys.argv[1]))
