"""A zygote and its sessions behind two pipes, as any carrier of stdin and stdout has them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm.guest.wire import VERSION, Frame, Frames, pack, to_json
from rlm.sandbox._archive import archive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers run Linux")

OPTIONS = {
    "packages": [], "path": [], "processes": 0, "threads": 64, "memory_mb": 256, "scratch_mb": 64,
    "cpu_seconds": None, "network": False, "separate": False, "fence": False, "allow_read": [],
}  # fmt: skip
BIND = {
    "t": "bind", "version": VERSION, "variables": {}, "functions": [], "outputs": [], "seed": 0,
}  # fmt: skip


class Host:
    """The other side of a relay, one thing after the other."""

    def __init__(self, folder: Path) -> None:
        (folder / "guest.zip").write_bytes(archive())
        (folder / "scratch").mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-S", str(folder / "guest.zip"), "relay"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONHASHSEED": "0"},
        )  # fmt: skip
        self._frames = Frames()
        self._inner: dict[int, Frames] = {}
        self._seen: list[tuple[int, dict[str, Any]]] = []

    def tell(self, message: dict[str, Any], blob: bytes = b"") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(pack(message, (blob,) if blob else ())))
        self.process.stdin.flush()

    def tell_in(self, number: int, message: dict[str, Any], **more: Any) -> None:
        self.tell({"t": "bytes", "id": number, **more}, b"".join(pack(message)))

    def bind(self, table: list[int], fds: int) -> dict[str, Any]:
        bind = {
            **OPTIONS, "t": "bind", "version": VERSION,
            "scratch": str(self.folder / "scratch"), "inputs": table, "fds": fds,
        }  # fmt: skip
        self.tell_in(0, bind, fds=True)
        return self.wait(0)

    def open(self, number: int) -> None:
        self.tell({"t": "stream", "id": number})
        self.tell_in(0, {"t": "open", "id": number, "fds": 1}, fds=True)
        self.tell_in(number, BIND)
        assert self.wait(number)["t"] == "ready"

    def run(self, number: int, code: str) -> str | None:
        self.tell_in(number, {"t": "execute", "n": 1, "code": code, "output_bytes": 1000})
        while (said := self.wait(number))["t"] != "done":
            pass
        value: str | None = said["value"]
        return value

    def wait(self, number: int) -> dict[str, Any]:
        """Return the next message of a stream; those of the relay itself are of stream -1."""
        while True:
            for place, (owner, message) in enumerate(self._seen):
                if owner == number:
                    del self._seen[place]
                    return message
            assert self.process.stdout is not None
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "the relay has ended"
            for frame in self._frames.feed(data):
                self._sort(frame)

    def _sort(self, frame: Frame) -> None:
        message, blob = frame
        if message["t"] != "bytes":
            self._seen.append((-1, message))
            return
        inner = self._inner.setdefault(message["id"], Frames())
        self._seen += [(message["id"], said) for said, _ in inner.feed(blob)]

    def close(self) -> int:
        """Go away, and return how the relay ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    assert host.close() == 0
    assert list((tmp_path / "scratch").glob("*")) == []


def _content(host: Host, *contents: bytes) -> None:
    for content in contents:
        half = len(content) // 2
        host.tell({"t": "content", "first": True, "last": False}, content[:half])
        host.tell({"t": "content", "first": False, "last": True}, content[half:])


def test_sessions_run_side_by_side_over_one_stream(host: Host) -> None:
    _content(host, b"{}")
    assert host.bind([0, 2], 1)["t"] == "ready"
    host.open(1)
    host.open(2)
    assert host.run(1, "x = 1; x") == "1"
    assert host.run(2, "x = 2; x") == "2"
    assert host.run(1, "x") == "1"


def test_inputs_arrive_as_content_or_by_path_in_their_order(host: Host) -> None:
    path = host.folder / "file.txt"
    path.write_bytes(b"on disk")
    text = "é text".encode()
    file = {"$": "file", "name": "f", "type": "text/plain"}
    values = {
        "text": {"$": "str", "at": [0, 7]},
        "a": {**file, "size": 7, "fd": 0},
        "b": {**file, "size": 11, "fd": 1},
    }
    _content(host, text + to_json(values))
    host.tell({"t": "file", "path": str(path)})
    _content(host, b"on the wire")
    ready = host.bind([7, len(to_json(values))], 3)
    assert ready["t"] == "ready"
    host.tell({"t": "stream", "id": 1})
    host.tell_in(0, {"t": "open", "id": 1, "fds": 1}, fds=True)
    given = {name: {"$": "ref", "v": f"place:{name}"} for name in ("text", "a", "b")}
    host.tell_in(1, {**BIND, "variables": given})
    assert host.wait(1)["t"] == "ready"
    assert host.run(1, "(text, a.text, b.text)") == "('é text', 'on disk', 'on the wire')"


def test_content_cannot_be_changed_by_a_session(host: Host) -> None:
    file = {"$": "file", "name": "f", "type": "text/plain", "size": 5, "fd": 0}
    table = to_json({"f": file})
    _content(host, table, b"given")
    host.bind([0, len(table)], 2)
    host.tell({"t": "stream", "id": 1})
    host.tell_in(0, {"t": "open", "id": 1, "fds": 1}, fds=True)
    host.tell_in(1, {**BIND, "variables": {"f": {"$": "ref", "v": "place:f"}}})
    host.wait(1)
    code = "import os\ntry: os.pwrite(f._fd, b'taken', 0)\nexcept OSError: print(1)\nf.text"
    assert host.run(1, code) == "'given'"


def test_what_a_session_said_comes_before_its_end(host: Host) -> None:
    _content(host, b"{}")
    host.bind([0, 2], 1)
    host.open(1)
    code = "import os; print('x' * 100_000); os._exit(3)"
    host.tell_in(1, {"t": "execute", "n": 1, "code": code, "output_bytes": 1_000_000})
    gone = host.wait(0)
    assert (gone["t"], gone["id"], gone["code"]) == ("gone", 1, 3)
    assert "x" * 1000 in host.wait(1)["text"]


def test_forgotten_descriptors_go_nowhere(host: Host) -> None:
    _content(host, b"{}")
    host.bind([0, 2], 1)
    host.tell({"t": "stream", "id": 1})
    _content(host, b"abandoned")
    host.tell({"t": "forget"})
    host.tell({"t": "end", "id": 1})
    host.open(2)
    assert host.run(2, "6 * 7") == "42"


def test_a_session_whose_host_lets_go_ends(host: Host) -> None:
    _content(host, b"{}")
    host.bind([0, 2], 1)
    host.open(1)
    host.tell({"t": "end", "id": 1})
    assert host.wait(0)["t"] == "gone"


def test_what_cannot_be_opened_is_told_with_its_name(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.tell({"t": "file", "path": "/there/is/none"})
    said = host.wait(-1)
    assert said["t"] == "failed" and "/there/is/none" in said["message"]
    host.close()


def test_a_zygote_that_ends_is_told_with_its_code(tmp_path: Path) -> None:
    host = Host(tmp_path)
    _content(host, b"{}")
    host.bind([0, 2], 1)
    [zygote] = (
        Path(f"/proc/{host.process.pid}/task/{host.process.pid}/children").read_text().split()
    )
    os.kill(int(zygote), 9)
    assert host.wait(-1) == {"t": "ended", "code": -9}
    host.close()
