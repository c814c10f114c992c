from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.recorded import ATTACK, record
from cli.shell import rlm
from rlm.cli.app import run_app

OBEYED = {chr(c) for c in (*range(32), *range(0x7F, 0xA0))} - {"\n"} | {"\u202e"}


@pytest.fixture(autouse=True)
def in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_app(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_show_says_what_the_run_did_and_what_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, str(record(tmp_path)))
    assert "Who signed?" in text
    assert "context: File of 1,200 bytes" in text
    assert "completed · ended by submitted" in text
    assert "4 model calls" in text
    assert "$0.040" in text
    assert "answer = Ada plain" in text


def test_show_prints_the_tree_of_calls_with_status_cost_and_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capsys, str(record(tmp_path))).splitlines()
    (ok,) = [line for line in lines if "0.1 finished" in line]
    (failed,) = [line for line in lines if "0.3 failed" in line]
    assert "$0.010" in ok and "m/sub" in ok
    assert "RateLimited" in failed


def test_show_folds_many_children_and_counts_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, str(record(tmp_path, children=500)))
    assert "… 480 more: 480 finished" in text
    assert "0.500 failed" in text


def test_show_prints_code_output_and_errors_by_head_and_tail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, str(record(tmp_path)))
    assert "[0] turn 1: exec\n  I look. plain\n    print(context.text)  # plain\n  → plain" in text
    assert "… 40 more lines …" in text
    assert "✗ ZeroDivisionError: plain (line 1)" in text


def test_show_one_turn_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(record(tmp_path)), "--turn", "1")
    assert "more lines" not in text
    assert "turn 2" not in text and "models" not in text


def test_show_one_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(record(tmp_path)), "--call", "0.3")
    assert "✗ RateLimited: slow down plain" in text
    assert "turn" not in text


@pytest.mark.parametrize("arguments", [["--call", "0.9"], ["--turn", "7"]])
def test_show_refuses_what_the_log_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run_app(["show", str(record(tmp_path)), *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_show_neutralises_everything_that_a_model_or_a_cell_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(record(tmp_path, text=ATTACK))
    for arguments in ([], ["--turn", "1"], ["--call", "0.3"], ["--json"]):
        assert not OBEYED & set(shown(capsys, log, *arguments))


def test_show_json_holds_the_result_its_calls_and_its_turns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(shown(capsys, str(record(tmp_path, text=ATTACK)), "--json"))
    assert found["output"] == {"answer": f"Ada {ATTACK}"}
    assert [call["id"] for call in found["calls"]] == ["0", "0.1", "0.2", "0.3"]
    assert [turn["number"] for turn in found["turns"]] == [1, 2]


def test_show_takes_the_newest_log_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path)
    assert "run-1.jsonl" in shown(capsys, str(tmp_path))


def test_show_reads_a_torn_log_and_says_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = record(tmp_path, end=False)
    log.write_bytes(log.read_bytes()[:-20])
    assert run_app(["show", str(log)]) == 0
    said = capsys.readouterr()
    assert "left out line" in said.err
    assert "aborted · ended by cut_off" in said.out


@pytest.mark.parametrize("cut", range(12))
def test_show_survives_a_log_without_any_one_of_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    log = record(tmp_path)
    lines = log.read_bytes().splitlines(keepends=True)
    lines[cut] = b'{"damaged\n'
    log.write_bytes(b"".join(lines))
    assert run_app(["show", str(log)]) == 0
    assert "left out line" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "no log at all\n"])
def test_show_refuses_what_is_no_log(tmp_path: Path, content: str | None) -> None:
    log = tmp_path / "x.jsonl"
    if content is not None:
        log.write_text(content, encoding="utf-8")
    done = rlm("show", str(log), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "x.jsonl" in done.stderr and "Traceback" not in done.stderr
