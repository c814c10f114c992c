from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.previews import describe, length, listing, preview

values = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner),
        st.dictionaries(st.text(), inner),
        st.frozensets(st.text()),
    ),
    max_leaves=8,
)


@given(values)
def test_small_values_are_shown_as_python_shows_them(value: Any) -> None:
    assert preview(value, 100_000) == repr(value)


def test_large_values_are_shown_in_part_with_their_size() -> None:
    assert len(preview(list(range(10**6)), 500)) < 1000
    assert "of 1,000,000" in preview(list(range(10**6)), 500)
    assert "of 5,000,000" in preview("x" * 5_000_000, 500)
    assert len(preview(dict.fromkeys(range(1000), "x" * 1000), 500)) < 1500


def test_what_breaks_is_shown_all_the_same() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

        def __len__(self) -> int:
            raise RuntimeError("no")

    class Exits:
        def __repr__(self) -> str:
            raise SystemExit

    assert "RuntimeError" in preview(Broken())
    assert "SystemExit" in preview([Exits()])
    assert length(Broken()) is None
    assert describe("x", [1, 2]) == ["x", "list", 2, "[1, 2]"]
    assert listing([("n", 5), ("s", "ab")]) == "n: int = 5\ns: str (2) = 'ab'"
