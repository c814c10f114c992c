from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm import tokens
from rlm.lm.base import Message


@given(st.text())
@settings(deadline=None)  # the first example loads the encodings
def test_no_text_has_more_tokens_than_its_bound(text: str) -> None:
    for model in ("openai/gpt-5", "gpt-4"):
        found = tokens.count(text, model)
        assert found is not None
        assert found <= tokens.bound(text)


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=20))
def test_text_that_is_no_unicode_has_a_bound_too(text: str) -> None:
    assert len(text) <= tokens.bound(text) <= 4 * len(text)
    assert tokens.count(text, "gpt-5") is not None


def test_counts_are_those_of_the_model() -> None:
    assert tokens.count("hello world", "openai/gpt-5-mini") == 2
    text = "Многоязычный текст"
    modern, old = tokens.count(text, "gpt-4o"), tokens.count(text, "gpt-4")
    assert modern is not None and old is not None and modern < old
    assert asyncio.run(tokens.acount("hello world", "gpt-4o")) == 2


def test_special_tokens_in_data_are_plain_text() -> None:
    found = tokens.count("<|endoftext|>", "gpt-4o")
    assert found is not None and found > 1


def test_it_is_known_whose_tokenizer_it_is() -> None:
    assert tokens.is_exact("openai/gpt-5-mini") and tokens.is_exact("gpt-3.5-turbo")
    assert not tokens.is_exact("gemini/gemini-3-pro")


def test_a_transcript_counts_its_frames() -> None:
    messages = [Message("user", "é"), Message("assistant", "")]
    assert tokens.bound_messages(messages) == 2 + 3 * tokens.MESSAGE_OVERHEAD


@given(st.lists(st.text(max_size=50), max_size=5))
@settings(deadline=None, max_examples=10)
def test_a_counted_transcript_is_no_less_than_its_parts(texts: list[str]) -> None:
    messages = [Message("user", text) for text in texts]
    for model in ("gpt-5", "gemini/gemini-2.5-pro"):
        counted = asyncio.run(tokens.acount_messages(messages, model))
        parts = [tokens.count(text, model) or 0 for text in texts]
        assert counted is not None and counted >= sum(parts)


def test_an_estimate_is_about_four_bytes_a_token() -> None:
    assert [tokens.estimate(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


@pytest.mark.parametrize("damaged", [False, True])
def test_nothing_is_ever_downloaded(
    damaged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tokens._folder()
    assert folder is not None
    if damaged:
        name = tokens._ENCODINGS["o200k_base"][0]
        shutil.copy(folder / name, tmp_path)
        with (tmp_path / name).open("ab") as file:
            file.write(b"x")
    monkeypatch.setattr(tokens, "_folder", lambda: tmp_path)
    monkeypatch.setattr(tokens, "_loaded", {})
    assert tokens.count("hello", "gpt-5") is None


def test_lesson_48_counting_imports_no_litellm_and_leaves_the_environment() -> None:
    code = (
        "import os, sys; from rlm import tokens; assert tokens.count('hello', 'gpt-5') == 1;"
        "print([m for m in sys.modules if m.startswith(('litellm', 'requests'))],"
        " 'TIKTOKEN_CACHE_DIR' in os.environ)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "TIKTOKEN_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean
    )
    assert done.stdout.strip() == "[] False"
