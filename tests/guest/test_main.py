from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rlm.guest.wire import VERSION, Frames, pack
from rlm.sandbox._archive import archive


def test_the_zip_serves_a_session_over_standard_streams(tmp_path: Path) -> None:
    program = tmp_path / "guest.zip"
    program.write_bytes(archive())
    bind = {"t": "bind", "version": VERSION, "variables": {"n": 20}, "functions": ["double"]}
    execute = {"t": "execute", "n": 1, "output_bytes": 1000}
    execute["code"] = "print('x'); import os; os.write(1, b'y'); double(n) + 2"
    guest = subprocess.Popen(
        [sys.executable, "-s", "-P", "-S", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={},
        cwd=tmp_path,
    )
    assert guest.stdin is not None
    assert guest.stdout is not None
    said: list[dict[str, Any]] = []
    frames = Frames()

    def listen(kind: str) -> dict[str, Any]:
        while not said or said[-1]["t"] != kind:
            data = guest.stdout.read1(65536)  # type: ignore[union-attr] # it is a pipe
            assert data, said
            said.extend(message for message, _ in frames.feed(data))
        return said[-1]

    def say(message: dict[str, Any]) -> None:
        guest.stdin.write(b"".join(pack(message)))  # type: ignore[union-attr] # it is a pipe
        guest.stdin.flush()  # type: ignore[union-attr] # it is a pipe

    say(bind)
    assert listen("ready")["version"] == VERSION
    say(execute)
    call = listen("call")
    assert (call["name"], call["args"]) == ("double", [20])
    say({"t": "answer", "id": call["id"], "value": 40})
    done = listen("done")
    assert (done["value"], done["stdout"], done["error"]) == ("42", "x\ny", None)
    say({"t": "close"})
    assert guest.wait(10) == 0
    guest.stdin.close()
    guest.stdout.close()
