"""Logs as files: a line at a time, blobs once."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import ConfigurationError
from rlm.store.files import FileLog


def test_each_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "deep" / "er", "run-1")
    path = Path(log.location)
    for number in range(3):
        log.append(b"line %d\n" % number)
        assert path.read_bytes().count(b"\n") == number + 1
    log.close()
    log.close()
    assert path.name == "run-1.jsonl"


def test_a_log_is_for_its_owner_only(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "run")
    assert stat.S_IMODE(Path(log.location).stat().st_mode) == 0o600
    log.close()


def test_a_log_is_not_inherited_by_programs_that_are_started(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "run")
    assert not any(
        os.get_inheritable(int(fd.name))
        for fd in Path("/proc/self/fd").iterdir()
        if fd.exists() and fd.resolve() == Path(log.location)
    )
    log.close()


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_a_blob_is_kept_whole_and_once_under_its_hash(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("blobs")
    log = FileLog(folder, "run")
    content = b"".join(pieces)
    digest = hashlib.sha256(content).hexdigest()
    assert log.put_blob(pieces) == log.put_blob([content]) == f"sha256:{digest}"
    assert [p.name for p in (folder / "blobs").iterdir()] == [digest]
    assert (folder / "blobs" / digest).read_bytes() == content
    log.close()


def test_a_blob_that_broke_off_leaves_nothing(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "run")

    def pieces() -> object:
        yield b"begun"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        log.put_blob(pieces())  # type: ignore[arg-type] # a generator of bytes, until it breaks
    assert list((tmp_path / "blobs").iterdir()) == []
    log.close()


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="log_dir"):
        FileLog(in_the_way, "run")
