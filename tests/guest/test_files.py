from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest import files
from rlm.guest.files import File


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WINDOW", 16)
    monkeypatch.setattr(files, "_CONTEXT", 8)
    monkeypatch.setattr(files, "LONGEST_MATCH", 10)


def file_of(content: bytes, room: int | None = None) -> File:
    read = os.memfd_create("content")
    os.write(read, content)
    return File("f.txt", "text/plain", len(content), read, room)


@pytest.fixture
def made() -> Iterator[list[File]]:
    found: list[File] = []
    yield found
    for file in found:
        os.close(file._fd)


contents = st.one_of(
    st.text(st.sampled_from("aé€😀\n\r"), max_size=200).map(lambda text: text.encode()),
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\xf0\x9f", b"\x80", b"\xe2\x82\xac", b"ab\n", b"\xff", b"\xc3"]))
    .map(b"".join),
)  # fmt: skip


@given(contents, st.integers(-30, 250), st.integers(-30, 250))
def test_rb35_a_file_reads_as_its_decoded_text(content: bytes, start: int, stop: int) -> None:
    text = content.decode("utf-8", "replace")
    file = file_of(content)
    try:
        assert file[start:stop] == text[start:stop]
        assert file[:] == file.text == text
        assert len(file) == len(text)
        assert file.bytes == content
        assert list(file.lines()) == _split(text)
        assert "".join(file[place] for place in range(len(file))) == text
    finally:
        os.close(file._fd)


def _split(text: str) -> list[str]:
    lines = re.split("\r?\n", text)
    return lines[:-1] if not lines[-1] else lines


@given(
    st.text(st.sampled_from("ab\né"), max_size=150),
    st.sampled_from(["ab", "a{1,9}", "^a", "b$", r"\bab\b", "(?<=a)b", "é.a", "b{0,9}", "a\nb"]),
)
def test_search_finds_what_re_finds_in_the_whole(text: str, pattern: str) -> None:
    file = file_of(text.encode())
    try:
        expected = [
            (m.start(), m.end(), m.group(), text.count("\n", 0, m.start()) + 1)
            for m in re.finditer(pattern, text, re.MULTILINE)
        ]
        assert [(m.start, m.end, m.text, m.line) for m in file.finditer(pattern)] == expected
    finally:
        os.close(file._fd)


@given(
    st.text(st.sampled_from("abé"), max_size=150),
    st.text(st.sampled_from("abé"), max_size=20),
    st.integers(0, 160),
)
def test_find_is_str_find(text: str, part: str, start: int) -> None:
    file = file_of(text.encode())
    try:
        assert file.find(part, start) == text.find(part, start)
        assert (part in file) == (part in text)
    finally:
        os.close(file._fd)


def test_what_does_not_fit_names_the_alternatives(made: list[File]) -> None:
    file = file_of(b"x" * 100, room=50)
    made.append(file)
    for read in (lambda: file.text, lambda: file.bytes, lambda: file[:]):
        with pytest.raises(MemoryError, match="search"):
            read()
    assert file[0:5] == "xxxxx"


def test_a_line_that_does_not_fit_is_named_and_the_others_are_read(made: list[File]) -> None:
    file = file_of(b"short\n" + b"x" * 200 + b"\nlast", room=100)
    made.append(file)
    lines = file.lines()
    assert next(lines) == "short"
    with pytest.raises(MemoryError, match=r"a line of 'f\.txt' \(211 bytes\) does not fit"):
        next(lines)
    assert list(file.lines(2)) == ["last"]
    with pytest.raises(MemoryError, match=r"so long a slice of 'f\.txt'"):
        file[10:100]
    assert file.find("last") == 207
    assert file.search("x$")[0].start == 205


def test_a_long_line_is_put_together_once(made: list[File]) -> None:
    file = file_of(b"x" * 100_000 + b"\r\nend")
    made.append(file)
    assert list(map(len, file.lines())) == [100_000, 3]
    assert list(file.lines(1)) == ["end"]
    assert list(map(len, file.lines(0, 1))) == [100_000]


def test_search_says_when_there_is_more(made: list[File]) -> None:
    file = file_of(b"ab " * 50)
    made.append(file)
    found = file.search("AB", ignore_case=True, limit=3)
    assert [match.start for match in found] == [0, 3, 6]
    assert found.more
    assert "more than 3" in repr(found)
    assert repr(file.search("zz")) == "no matches"


def test_lines_in_a_range_and_reads_by_bytes(made: list[File], tmp_path: Path) -> None:
    file = file_of("\n".join(f"é{n}" for n in range(50)).encode())
    made.append(file)
    assert list(file.lines(10, 12)) == ["é10", "é11"]
    assert [*file][:1] == ["é0"]
    assert file.read_bytes(0, 2) == "é".encode()
    assert file.read(1, 3) == "0\n"
    with pytest.raises(IndexError):
        file[10_000]
