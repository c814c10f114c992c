from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.output import Kept


@given(st.lists(st.text(st.sampled_from("aé😀\n"), max_size=30), max_size=40), st.integers(40, 400))
def test_kept_output_is_bounded_and_counted_in_full(pieces: list[str], limit: int) -> None:
    whole = "".join(pieces)
    kept = Kept(limit)
    for piece in pieces:
        kept.add(piece)
    text = kept.text()
    assert kept.chars == len(whole)
    assert len(text.encode()) <= limit + 60
    if "left out" not in text:
        assert text == whole
    else:
        head, _, tail = text.partition("\n[... ")
        assert whole.startswith(head)
        assert whole.endswith(tail.partition(" ...]\n")[2])


def test_short_output_is_kept_whole() -> None:
    kept = Kept(100)
    kept.add("a\n")
    kept.add("b\n")
    assert kept.text() == "a\nb\n"
