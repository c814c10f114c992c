from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest import files
from rlm.guest import text as guest_text
from rlm.guest.text import chunk_text, grep_text

PIECES = st.sampled_from(
    ["\n\n", "\n", ". ", "! ", " ", "word", "x" * 30, "é", "\r\n", "。", "\t", "?"]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join)


@given(TEXTS, st.integers(1, 50))
def test_rr25_chunk_text_joined_is_the_text_and_no_chunk_is_too_long(
    text: str, length: int
) -> None:
    chunks = chunk_text(text, length)
    assert "".join(chunks) == text
    assert all(0 < len(chunk) <= length for chunk in chunks)


@given(TEXTS, st.integers(2, 50), st.data())
def test_rr25_chunk_text_overlaps_by_exactly_what_was_asked(
    text: str, length: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, length - 1))
    chunks = chunk_text(text, length, overlap)
    assert all(len(chunk) <= length for chunk in chunks)
    joined = "".join(chunk[overlap if i else 0 :] for i, chunk in enumerate(chunks))
    assert joined == text
    for left, right in itertools.pairwise(chunks):
        assert right.startswith(left[len(left) - overlap :])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One two.\nThree.\n\nFour five six seven", "One two.\nThree.\n\n"),
        ("One two three.\nFour. Five six seven", "One two three.\n"),
        ("One two three. Four five six seven", "One two three. "),
        ('He said "no." Then he left the room.', 'He said "no." '),
        ("One two three four five six seven", "One two three four "),
        ("Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffahr"),
        ("a Donaudampfschifffahrtsgesellschaft", "a "),
    ],
)
def test_rr25_chunk_text_prefers_paragraphs_lines_sentences_words(text: str, first: str) -> None:
    assert chunk_text(text, 20)[0] == first


def test_rr25_chunk_text_of_nothing_and_of_a_short_text() -> None:
    assert chunk_text("") == []
    assert chunk_text("short") == ["short"]


def test_rr25_chunk_text_is_linear() -> None:
    class Counted(str):
        """Counts the characters that are scanned."""

        scanned = 0

        def rfind(self, *args: Any) -> int:
            Counted.scanned += args[2] - args[1]
            return super().rfind(*args)

    for text in ("x" * 200_000, "a b " * 50_000, ("y" * 1500 + " ") * 130):
        Counted.scanned = 0
        chunk_text(Counted(text), 2000)
        assert Counted.scanned < 20 * len(text)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("a", 0), "max_length = 0: it must be at least 1"),
        (("a", 10, 10), "overlap = 10: it must be from 0 to below"),
        (("a", 10, -1), "overlap = -1"),
    ],
)
def test_rr25_chunk_text_refuses_what_cannot_be(args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chunk_text(*args)
    with pytest.raises(TypeError, match="takes a str, not bytes"):
        chunk_text(b"x")  # type: ignore[arg-type] # what a cell may try


TEXT = "one\ntwo cats\r\nthree\nTwo dogs\nfive"


def test_grep_text_finds_lines_that_say_where_they_are() -> None:
    (found,) = grep_text("two", TEXT)
    assert (found.line, found.start, found.text) == (2, 4, "two cats")
    assert found == "2: two cats"
    assert json.dumps(found) == '"2: two cats"'


def test_grep_text_takes_options() -> None:
    assert grep_text("two", TEXT, ignore_case=True) == ["2: two cats", "4: Two dogs"]
    assert grep_text(re.compile("TWO", re.IGNORECASE), TEXT) == ["2: two cats", "4: Two dogs"]
    assert grep_text("^five$", TEXT) == ["5: five"]
    assert grep_text("(", "a (b", fixed=True) == ["1: a (b"]
    assert grep_text("three", TEXT, context=1) == ["2- two cats\n3: three\n4- Two dogs"]
    assert grep_text("one", TEXT, context=5)[0].startswith("1: one\n2- two")


def test_grep_text_prints_readably_and_says_when_there_is_more() -> None:
    found = grep_text("o", TEXT, max_matches=2)
    assert (len(found), found.more) == (2, True)
    assert (
        str(found) == "1: one\n2: two cats\n... and more: raise max_matches or narrow the pattern"
    )
    assert not grep_text("o", TEXT, max_matches=4).more
    assert len(grep_text("o", TEXT, max_matches=None)) == 3
    assert str(grep_text("zebra", TEXT)) == "no matches"


def test_grep_text_shows_the_part_of_a_long_line_around_each_match() -> None:
    text = "x" * 100_000 + "needle" + "y" * 100_000 + "needle" + "z" * 1000
    first, second = grep_text("needle", text)
    assert (first.start, second.start) == (100_000, 200_006)
    for found in (first, second):
        assert len(found) < 400
        assert re.search("…[xy]+needle[yz]+…", found)


def test_grep_text_does_not_find_again_what_it_showed() -> None:
    found = grep_text("a", "a" * 3000 + "\n" + "b a a a\n")
    assert found[-1] == "2: b a a a"
    assert len(found) < 20


@given(
    st.text("ab\n\r x", max_size=60), st.sampled_from(["a", "a.b", "^", "$", "x*", r"\s+", "a\nb"])
)
def test_grep_text_names_each_matching_line_once(text: str, pattern: str) -> None:
    found = grep_text(pattern, text, max_matches=None)
    lines = text.split("\n")
    expected = {text.count("\n", 0, m.start()) for m in re.finditer(pattern, text, re.MULTILINE)}
    assert {one.line - 1 for one in found} <= expected
    assert len({one.line for one in found}) == len(found)
    if "\n" not in pattern and r"\s" not in pattern:
        assert {one.line - 1 for one in found} == expected
    for one in found:
        assert one.text == lines[one.line - 1].rstrip("\r")


def test_grep_text_of_a_file_is_that_of_its_text(tmp_path: Path) -> None:
    text = "".join(f"line {i} ü\n" for i in range(3000)) + "w" * 5000 + "line 7 "
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    with path.open("rb") as stream:
        file = files.File("a.txt", "text/plain", path.stat().st_size, stream.fileno(), None)
        for pattern in ("7 ", "ü$", "^line 1", "w+line"):
            found = grep_text(pattern, file, context=1, max_matches=50)
            expected = grep_text(pattern, text, context=1, max_matches=50)
            assert found == expected
            assert [(f.line, f.start) for f in found] == [(f.line, f.start) for f in expected]


def test_grep_text_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression: .*fixed=True"):
        grep_text("(", "x")
    with pytest.raises(TypeError, match="searches a str or a File, not list"):
        grep_text("a", ["x"])
    with pytest.raises(TypeError, match="the pattern comes first, and is a str, not int"):
        grep_text(3, "x")  # type: ignore[arg-type] # what a cell may try


def test_the_module_needs_nothing_of_the_host(tmp_path: Path) -> None:
    source = Path(guest_text.__file__).read_text(encoding="utf-8")
    (tmp_path / "alone.py").write_text(source, encoding="utf-8")
    code = "import alone; print(alone.grep_text('b', 'a\\nb'), alone.chunk_text('a b', 2))"
    made = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert made.stdout == "2: b ['a ', 'b']\n"
