from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import ConfigurationError
from rlm.files import File


def read(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "notes.md"
    made.write_text("# Grüße\nsecond line\n", encoding="utf-8")
    return made


def test_rb35_a_file_comes_from_a_path_text_bytes_or_a_file_object(path: Path) -> None:
    content = path.read_bytes()
    with path.open("rb") as stream:
        sources = [
            File(path),
            File(str(path)),
            File(text=content.decode()),
            File(data=content),
            File(file=stream),
            File(file=io.BytesIO(content)),
            File(file=io.StringIO(content.decode())),
        ]
    for file in sources:
        assert (file.bytes, file.size, file.text) == (content, len(content), content.decode())
        assert list(file.lines()) == ["# Grüße", "second line"]
        assert file.sha256() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.pdf", "application/pdf"), ("a.csv", "text/csv"), ("README", "text/plain")],
)
def test_rb35_the_content_type_is_known_by_the_name(name: str, kind: str) -> None:
    assert File(text="x", name=name).content_type == kind
    assert File(text="x", name=name, content_type="a/b").content_type == "a/b"


def test_rb37_a_descriptor_is_read_only_fresh_and_the_callers(path: Path) -> None:
    for file in (File(path), File(text="abc"), File(file=io.StringIO("abc"))):
        first, second = file.open_fd(), file.open_fd()
        assert os.read(first, 2) == os.read(second, 2)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(first, b"x")
        os.close(first)
        os.close(second)


def test_nothing_can_change_the_content_of_a_file_made_from_text() -> None:
    file = File(text="abc")
    fd = file.open_fd()
    with pytest.raises(OSError, match=r"not permitted|denied|Bad file descriptor|Invalid"):
        os.ftruncate(fd, 0)
    os.close(fd)
    assert file.text == "abc"


def test_a_descriptor_outlives_its_file_and_a_dropped_file_leaves_none_open() -> None:
    gc.collect()  # what other tests have dropped is closed now, not between the two counts
    before = len(os.listdir("/proc/self/fd"))
    file = File(text="still here")
    fd = file.open_fd()
    del file
    gc.collect()
    assert read(fd) == b"still here"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_plain_file_object_is_used_in_place_from_its_beginning(path: Path) -> None:
    with path.open("rb") as stream:
        stream.read(5)
        file = File(file=stream)
        assert stream.tell() == 5
    assert file.name == "notes.md"
    assert file.bytes == path.read_bytes()
    fd = file.open_fd()
    assert os.fstat(fd).st_ino == path.stat().st_ino
    os.close(fd)


def test_what_was_written_and_not_yet_flushed_belongs_to_the_file() -> None:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        stream.write("not flushed")
        assert File(file=stream).text == "not flushed"
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as named:
        named.write("also")
        assert File(file=named).text == "also"


def test_a_compressed_file_object_is_read_not_its_descriptor(tmp_path: Path) -> None:
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"inside"))
    with gzip.open(packed) as stream:
        assert File(file=stream).bytes == b"inside"
    with gzip.open(packed, "rt", encoding="utf-8") as text:
        assert File(file=text).bytes == b"inside"


def test_a_text_file_object_of_another_encoding_becomes_utf_8(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Grüße".encode("latin-1"))
    with latin.open(encoding="latin-1") as stream:
        assert File(file=stream).text == "Grüße"


def test_a_big_file_object_is_copied_in_pieces(tmp_path: Path) -> None:
    packed = tmp_path / "big.gz"
    packed.write_bytes(gzip.compress(b"x" * 64 * 1024 * 1024, 1))
    tracemalloc.start()
    with gzip.open(packed) as stream:
        file = File(file=stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.size == 64 * 1024 * 1024
    assert peak < 16 * 1024 * 1024


@given(st.binary(max_size=200), st.integers(0, 60))
def test_invalid_utf8_never_fails_and_previews_are_the_ends(data: bytes, length: int) -> None:
    file = File(data=data)
    text = data.decode("utf-8", "replace")
    assert file.text == text
    assert len(file.head(length)) <= length
    assert len(file.tail(length)) <= length
    assert sum(1 for _ in file.lines()) == len(text.split("\n")) - text.endswith("\n") - (not text)


@given(st.text(max_size=200), st.integers(0, 60))
def test_previews_of_text_are_exactly_its_ends(text: str, length: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    file = File(text=text)
    assert file.head(length) == text[:length]
    assert file.tail(length) == text[len(text) - min(length, len(text)) :]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs one of"),
        ({"text": "a", "data": b"b"}, "not text and data"),
        ({"path": "/nowhere/at/all.txt"}, "no file '/nowhere/at/all.txt'"),
        ({"path": "/"}, "'/' is a folder"),
        ({"path": "/dev/null"}, "not a regular file"),
        ({"path": "a\0b"}, "cannot be read"),
        ({"path": 7}, "cannot be read"),
        ({"text": b"x"}, "takes a str, not bytes"),
        ({"data": "x"}, "takes bytes, not str"),
        ({"file": "x"}, "takes an open file, not str"),
    ],
)
def test_what_cannot_be_a_file_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        File(**options)


def test_a_home_folder_is_understood(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    assert File("~/notes.md").path == path


def test_a_relative_path_stays_what_it_was_when_the_folder_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    file = File("notes.md")
    monkeypatch.chdir("/")
    assert file.size == path.stat().st_size


def test_a_closed_file_object_is_refused() -> None:
    stream = io.BytesIO(b"x")
    stream.close()
    with pytest.raises(ConfigurationError, match="closed"):
        File(file=stream)


def test_the_repr_shows_name_and_size() -> None:
    assert repr(File(text="abcd" * 500, name="dir/x.txt")) == "File('x.txt', 2,000 bytes)"
