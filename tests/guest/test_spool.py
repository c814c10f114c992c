from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from rlm.guest.interrupts import Shield
from rlm.guest.spool import Spool, Stream


@contextmanager
def streams(sent: list[str]) -> Iterator[tuple[Spool, Stream]]:
    """Lead this process's standard output away for a while."""
    spool, own = Spool(), os.dup(1)
    try:
        yield spool, Stream(0, spool, Shield(), lambda name, text: sent.append(text))
    finally:
        os.dup2(own, 1)
        os.close(own)
        spool.close()


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["text", "raw", "flush"]), st.text(max_size=20))))
def test_what_was_written_is_what_was_sent_and_the_rest(steps: list[tuple[str, str]]) -> None:
    sent: list[str] = []
    with streams(sent) as (spool, stream):
        stream.begin(10_000)
        for how, text in steps:
            if how == "text":
                stream.write(text)
            elif how == "raw":
                os.write(1, text.encode("utf-8", "backslashreplace"))
            else:
                stream.flush()
        rest = spool.rest().get("stdout", "")  # what the zygote reads when the session has died
        kept = stream.end()
    written = "".join(text for how, text in steps if how != "flush")
    assert kept.text() == "".join(sent) + rest == written
    assert kept.chars == len(written)


def test_a_spool_is_emptied_as_it_is_read() -> None:
    with streams([]) as (spool, stream):
        stream.begin(1000)
        for _ in range(100):
            stream.write("x" * 60_000 + "\n")
        assert os.fstat(spool.fds[0]).st_size < 3_000_000
        assert stream.end().chars == 6_000_100


def test_what_a_session_wrote_where_only_numbers_belong_harms_nobody() -> None:
    with streams([]) as (spool, stream):
        stream.begin(1000)
        os.write(1, b"abc")
        for at in (2**63, 2**64 - 1, 1000):
            spool.tell(0, at)
            assert spool.rest() == {}
