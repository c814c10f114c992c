from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import block

from rlm.prompt.quote import CUT_NOTE_CHARS, clean, cut, fair_shares, one_line, quoted

forgeries = st.lists(
    st.sampled_from(["</x>", "</x-1>", "</x-2>", "<x>", "</x", "-3>", "\n", "a", "</x-1234567890>"])
).map("".join)


@given(forgeries | st.text())
def test_what_is_quoted_reads_back_as_it_was(text: str) -> None:
    assert block(quoted("x", text, ' n="1"'), "x") == text


@given(st.text(st.characters(), max_size=200))
def test_clean_text_has_no_control_and_can_be_sent(text: str) -> None:
    cleaned = clean(text + "\x1b[31m\x00\ud800")
    cleaned.encode()
    assert cleaned.replace("\n", "").replace("\t", "").isprintable() or cleaned == clean(cleaned)
    assert cleaned.endswith(r"\x1b[31m\x00\ud800")


@given(st.text(), st.integers(0, 50))
def test_a_cut_text_is_bounded_and_keeps_its_ends(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert len(shown) <= max(limit + CUT_NOTE_CHARS, 0)
    if len(text) <= limit:
        assert shown == text
    else:
        assert shown.startswith(text[: limit - limit * 2 // 5])
        assert shown.endswith(text[len(text) - limit * 2 // 5 :])


@given(st.lists(st.integers(0, 1000)), st.integers(0, 2000))
def test_shares_are_fair(sizes: list[int], total: int) -> None:
    shares = fair_shares(sizes, total)
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    assert sum(shares) == sum(sizes) if sum(sizes) <= total else sum(shares) <= total
    cut_ones = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    if cut_ones:
        assert max(shares) - min(cut_ones) <= 1


@given(st.text())
def test_one_line_is_one_short_line(text: str) -> None:
    line = one_line(text, 40)
    assert len(line) <= 40
    assert len(line.splitlines()) <= 1
