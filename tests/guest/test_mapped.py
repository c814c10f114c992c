from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm.guest.mapped import ALIGNMENT, FORMS, LEAST, Shared, copied, possible
from rlm.sandbox._inputs import Staged

need_linux = pytest.mark.skipif(not possible(), reason="this interpreter is none of those known")

SAMPLES = {
    0x7F: "plain\n",
    0xFF: "déjà \xff",
    0xFFFF: "Đây là ж\n",
    0x10FFFF: "emoji 🎉 \U0010ffff",
}


def kept(content: bytes, at: int = ALIGNMENT) -> int:
    """Return a file that has the content at this place, and zeros around it."""
    fd = os.memfd_create("content")
    os.pwrite(fd, content, at)
    os.ftruncate(fd, at + len(content) + 4)
    return fd


def long(sample: str) -> str:
    return sample * (LEAST // len(sample) + 1)


def shared(text: str, largest: int) -> Any:
    content = text.encode(FORMS[largest][0], "surrogatepass")
    return Shared(kept(content))(ALIGNMENT, len(content), largest)


@need_linux
@pytest.mark.parametrize("largest", FORMS)
def test_a_shared_text_is_a_str_like_any_other(largest: int) -> None:
    want = long(SAMPLES[largest])
    got = shared(want, largest)
    assert type(got) is str
    assert got == want
    assert hash(got) == hash(want)
    assert (len(got), sys.getsizeof(got)) == (len(want), sys.getsizeof(want))
    assert (got[:3], got[-3:], got[7]) == (want[:3], want[-3:], want[7])
    assert (got.find("n", 9), got.count("n")) == (want.find("n", 9), want.count("n"))
    assert got.isascii() == want.isascii()
    assert got.encode() == want.encode()
    assert got.upper() == want.upper()
    assert got.split("\n") == want.split("\n")
    assert got + "x" == want + "x"
    assert {got: 1}[want] == 1
    assert json.loads(json.dumps(got)) == pickle.loads(pickle.dumps(got)) == want
    assert f"{got}" == want
    assert sys.intern(got) == want


@need_linux
def test_shared_bytes_are_bytes_like_any_other() -> None:
    want = bytes(range(256)) * (LEAST // 256)
    got = Shared(kept(want))(ALIGNMENT, len(want))
    assert type(got) is bytes
    assert got == want
    assert hash(got) == hash(want)
    assert (got.find(b"\xff\x00"), got[-1], got[5:9]) == (255, 255, want[5:9])
    assert got.hex() == want.hex()
    assert memoryview(got).nbytes == len(want)
    assert got + b"x" == want + b"x"


@need_linux
def test_a_shared_text_outlives_its_names_and_grows_into_another() -> None:
    text = shared(long("plain\n"), 0x7F)
    text += "more"
    assert text == long("plain\n") + "more"
    again = shared(long("plain\n"), 0x7F)
    del again
    assert shared(long("plain\n"), 0x7F).startswith("plain")


@need_linux
def test_what_is_short_or_lies_elsewhere_is_to_be_copied() -> None:
    content = b"x" * LEAST
    assert Shared(kept(content))(ALIGNMENT, LEAST - 1) is None
    assert Shared(kept(content, 8))(8, LEAST) is None


def test_an_unknown_interpreter_makes_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (4, 0))
    assert not possible()
    assert Shared(-1)(ALIGNMENT, LEAST) is None


@given(st.text(st.characters(codec="utf-8")) | st.text("\ud83d\ude00ж"))
def test_a_copied_text_is_the_same_also_with_lone_surrogates(text: str) -> None:
    largest = max(map(ord, text), default=0)
    form = next(form for form in FORMS if form >= largest)
    codec = FORMS[form][0]
    content = b"".join(char.encode(codec, "surrogatepass") for char in text)
    assert copied(memoryview(content), form) == text


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40), st.text(st.characters(), max_size=1))
def test_staged_texts_are_in_the_narrowest_form(pattern: str, last: str) -> None:
    text = long(pattern) + last
    staged = Staged({"text": text})
    table = json.loads(os.pread(staged.fds[0], staged.table[1], staged.table[0]))
    offset, size, largest = table["text"]["at"]
    content = os.pread(staged.fds[0], size, offset)
    assert copied(memoryview(content), largest) == text
    assert largest == next(form for form in FORMS if form >= max(map(ord, text)))
    made = Shared(staged.fds[0])(offset, size, largest)
    assert made is None or made == text
    staged.close()


@need_linux
@pytest.mark.parametrize("largest", FORMS)
def test_forks_share_a_text_and_own_no_page_of_it(largest: int) -> None:
    code = f"""
import os, sys
from rlm.guest.mapped import ALIGNMENT, Shared
from tests.guest.test_mapped import SAMPLES, kept, long
text = long(SAMPLES[{largest}]) * 32
fd = kept(text.encode({FORMS[largest][0]!r}))
size = os.fstat(fd).st_size - 4 - ALIGNMENT
del text
got = Shared(fd)(ALIGNMENT, size, {largest})
def own():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["RssAnon"].split()[0]) * 1024
for _ in range(8):
    if os.fork() == 0:
        before = own()
        got.count("no such thing")
        hash(got)
        os._exit(own() - before > 1 << 20)
    assert os.wait()[1] == 0
print(size)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 32 * LEAST
