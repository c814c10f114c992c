"""The seatbelt profile as text: where it holds, on macOS, it is tried by the zygote itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlm.sandbox import _seatbelt
from rlm.sandbox.base import CellLimits
from rlm.sandbox.process import ProcessSandbox


def options(**given: Any) -> dict[str, Any]:
    return ProcessSandbox(**given).options(CellLimits())


def balanced(text: str) -> bool:
    """Whether every bracket outside of a string is closed."""
    depth, quoted, escaped = 0, False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
            assert depth >= 0
    return depth == 0 and not quoted


def test_all_is_refused_but_what_is_named(tmp_path: Path) -> None:
    text = _seatbelt.profile("/opt/python3", str(tmp_path), options())
    lines = text.splitlines()
    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert balanced(text)
    assert "network" not in text
    [write] = [line for line in lines if line.startswith("(allow file-write*")]
    assert str(tmp_path) in write
    assert "/usr" not in write
    [run] = [line for line in lines if line.startswith("(allow process-exec")]
    assert run == '(allow process-exec (literal "/opt/python3"))'


def test_options_open_what_they_say(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" folder'
    folder.mkdir()
    text = _seatbelt.profile(
        "/opt/python3", "/scratch", options(network=True, processes=2, allow_read=(str(folder),))
    )
    assert balanced(text)
    assert "(allow network*)" in text
    assert '(subpath "/bin")' in text
    assert '\\"quoted\\" folder")' in text


def test_only_macos_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["/opt/python3", "-c", "1"]
    assert _seatbelt.held(command, "/scratch", options(), "linux") == command
    monkeypatch.setattr(_seatbelt, "_EXEC", "/bin/sh")  # a file that is there
    held = _seatbelt.held(command, "/scratch", options(), "darwin")
    assert held[:2] == ["/bin/sh", "-p"]
    assert held[3:] == command
