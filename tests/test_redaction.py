"""Secrets are taken out of text, whatever form the text has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawful import checked
from parts import cell

import rlm
from rlm import events
from rlm.redaction import Redactor
from rlm.testing import ScriptedLM
from rlm.trace import Trace

SECRET = "sk-live-0123456789abcdef"


def test_a_secret_becomes_its_stable_placeholder() -> None:
    clean = Redactor({"DB": SECRET})
    assert clean(f"a {SECRET} b {SECRET}") == "a [redacted:DB] b [redacted:DB]"
    assert clean("nothing here") == "nothing here"


def test_the_longer_of_two_secrets_wins() -> None:
    clean = Redactor({"SHORT": "password", "LONG": "password-and-more"})
    assert clean("password-and-more password") == "[redacted:LONG] [redacted:SHORT]"


def test_short_values_are_words() -> None:
    assert Redactor({"PIN": "1234567"})("1234567") == "1234567"
    assert not Redactor({"PIN": "1234567"}).knows_secrets


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "GITHUB_TOKEN", "db_password", "TOKEN"])
def test_names_in_the_environment_say_what_is_secret(name: str) -> None:
    clean = Redactor.from_environment({name: SECRET, "HOME": "/home/somebody"})
    assert clean(f"{SECRET} /home/somebody") == f"[redacted:{name}] /home/somebody"


@given(st.text(min_size=8), st.text(), st.text())
def test_no_secret_survives_in_an_event(secret: str, before: str, after: str) -> None:
    """Quotes, backslashes and line ends are escaped in JSON; the secret is found all the same."""
    try:
        (before + secret + after).encode()
    except UnicodeEncodeError:
        return
    trace = Trace("r", redactor=Redactor({"IT": secret}))
    event = trace.emit(events.Logged, "0", message=before + secret + after)
    assert secret not in event.message.replace("[redacted:IT]", "")
    assert secret not in json.loads(trace.to_jsonl())["message"].replace("[redacted:IT]", "")


@pytest.mark.parametrize("secret", [SECRET, 'quo"ted\\pass\nword', "gehéim-wört-世界"])
def test_a_secret_is_in_no_log_no_prompt_no_reply_and_no_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """It stands in the data, in what the model says, in what a cell prints, in an answer."""
    monkeypatch.setenv("MY_SERVICE_TOKEN", secret)
    code = f"""
import os
print(context, "MY_SERVICE_TOKEN" in os.environ)
print(llm_query("look: " + context, context=context))
spelled = {secret!r}
submit(answer="answer " + context)
"""
    lm = ScriptedLM({"look: ": [f"heard {secret}"], "": [cell(code)]})
    result = checked(
        rlm.completion(
            f"Task {secret}",
            context=f"data {secret} data",
            model=lm,
            log_dir=tmp_path,
            secrets={"MY_SERVICE_TOKEN": secret},
        )
    )
    shapes = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()).decode()
    asked = "".join(m.content for request in lm.requests for m in request.messages)
    for shape in shapes:
        assert shape not in kept and shape not in asked
    assert "[redacted:MY_SERVICE_TOKEN]" in kept and "[redacted:MY_SERVICE_TOKEN]" in asked
    assert result.value == "answer data [redacted:MY_SERVICE_TOKEN] data"
    (ran,) = result.trace.of(events.CodeExecuted)
    assert "data False" in ran.stdout


def test_secrets_of_the_caller_and_keys_of_models_are_known(tmp_path: Path) -> None:
    seen: list[Any] = []
    with rlm.testing.LoopbackServer(
        [cell(f"print('{SECRET}', 'given-by-hand-1')\nsubmit('x')")]
    ) as s:
        model = rlm.Model("openai/x", base_url=s.openai_url, api_key=SECRET)
        result = checked(
            rlm.completion(
                "Go",
                model=model,
                secrets={"HAND": "given-by-hand-1"},
                log_dir=tmp_path,
                on_event=seen.append,
            )
        )
    assert SECRET not in result.trace.to_jsonl() and "given-by-hand-1" not in repr(seen)
    assert SECRET not in repr(model)


def test_a_large_input_is_kept_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", SECRET)
    big = "x" * 1_048_570 + SECRET + "y" * 100_000  # it straddles two pieces
    with ScriptedLM([cell("submit(len(context))")]) as lm:
        result = checked(rlm.completion("Go", context=big, model=lm, log_dir=tmp_path))
    assert result.value == str(len(big))
    for path in (tmp_path / "blobs").iterdir():
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("word", ["completion", "model_asked", "messages", "scripted/model"])
def test_a_secret_that_is_a_word_of_the_schema_breaks_no_run(tmp_path: Path, word: str) -> None:
    with ScriptedLM([cell("submit(llm_query('q'))"), "a"]) as lm:
        result = rlm.completion("Go", model=lm, log_dir=tmp_path, secrets={"UNWISE": word})
    assert checked(result).value == "a"


def test_a_long_value_of_signs_is_read_in_no_time() -> None:
    """Keys in PEM have long rules of dashes."""
    value = "-" * 5_000 + "BEGIN KEY" + "-" * 5_000 + "x9Z"
    assert Redactor.from_environment({"MY_KEY": value})(value) == "[redacted:MY_KEY]"


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ("postgres", False),
        ("Correct horse", False),
        ("1234 5678-9012", False),
        ("correct-horse-42", True),
        ("AKIAIOSFODNN7EXAMPLE", True),
    ],
)
def test_plain_words_in_the_environment_are_left_alone(value: str, is_secret: bool) -> None:
    assert Redactor.from_environment({"DB_PASSWORD": value}).knows_secrets is is_secret
