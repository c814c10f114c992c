from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.shell import PROGRAM, environment, rlm
from rlm import events
from rlm.cli.app import run_app
from rlm.cli.models import KEYS
from rlm.limits import Limits
from rlm.result import Result
from rlm.testing import LoopbackServer
from rlm.trace import Trace

HAYSTACK = "nothing here\n" * 500 + "The magic number is 4711.\n" + "nothing there\n" * 500
QUESTION = "What is the magic number?"
KEY = "sk-test-0123456789"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "big.txt").write_text(HAYSTACK, encoding="utf-8")
    return tmp_path


def block(code: str) -> str:
    return f"```repl\n{code}\n```"


def served(server: LoopbackServer, *arguments: str) -> list[str]:
    return [
        "run", QUESTION, "-c", "big.txt", "-m", "openai/root", "--base-url", server.openai_url,
        *arguments,
    ]  # fmt: skip


def log_of(folder: Path) -> Trace:
    (log,) = (folder / "logs").glob("*.jsonl")
    return Trace.read(log)


def started(folder: Path) -> events.RunStarted:
    found = log_of(folder).first(events.RunStarted)
    assert found is not None
    return found


# What is asked ----------------------------------------------------------------------------------


def test_in_a_pipe_there_is_the_answer_and_nothing_else(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "big.txt", "-m", "offline/needle", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4711\n", "")
    assert Result(log_of(folder)).value == "4711"


def test_rr65_a_prompt_as_an_argument_or_on_stdin_is_the_same_question(folder: Path) -> None:
    piped = rlm("run", "-c", "big.txt", "-m", "offline/needle", cwd=folder, stdin=QUESTION + "\n")
    assert (piped.returncode, piped.stdout) == (0, "4711\n")
    assert started(folder).task == QUESTION


def test_data_on_stdin_is_read_with_a_dash(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "-", "-m", "offline/needle", cwd=folder, stdin=HAYSTACK)
    assert (done.returncode, done.stdout) == (0, "4711\n")


def test_rr66_the_model_is_an_option_or_a_variable_and_is_asked_for_when_missing(
    folder: Path,
) -> None:
    named = rlm("run", QUESTION, "-c", "big.txt", cwd=folder, RLM_MODEL="offline/needle")
    assert (named.returncode, named.stdout) == (0, "4711\n")
    missing = rlm("run", QUESTION, "-c", "big.txt", cwd=folder)
    assert missing.returncode == 2
    for hint in ("-m", "RLM_MODEL", "offline/needle"):
        assert hint in missing.stderr


@pytest.mark.parametrize("flag", ["-e", "--env", "--sandbox"])
def test_rr67_the_place_of_the_code_is_chosen_under_its_old_name_too(
    folder: Path, flag: str
) -> None:
    done = rlm(
        "run", QUESTION, "-c", "big.txt", "-m", "offline/needle", flag, "process", cwd=folder
    )
    assert done.returncode == 0
    assert started(folder).sandbox == "process"
    wrong = rlm("run", QUESTION, "-m", "offline/needle", flag, "nowhere", cwd=folder)
    assert wrong.returncode == 2
    assert "'nowhere'" in wrong.stderr


def test_rr68_max_iterations_bounds_the_turns(folder: Path) -> None:
    with LoopbackServer({"default": block("print(1)")}) as server:
        done = rlm(
            *served(server, "--max-iterations", "2", "--on-exceeded", "fail"),
            cwd=folder,
            OPENAI_API_KEY=KEY,
        )
        assert server.count == 2
    assert done.returncode == 1
    assert "max_iterations" in done.stderr


def test_rr69_max_depth_zero_leaves_no_sub_calls(folder: Path) -> None:
    script = [block('llm_query("hello")'), block('submit(answer="none")')]
    with LoopbackServer(script) as server:
        done = rlm(*served(server, "--max-depth", "0"), cwd=folder, OPENAI_API_KEY=KEY)
    assert (done.returncode, done.stdout) == (0, "none\n")
    assert Result(log_of(folder)).sub_calls == 0


def test_rr70_the_timeout_is_of_one_cell(folder: Path) -> None:
    script = [block("while True: pass"), block('submit(answer="still here")')]
    with LoopbackServer(script) as server:
        done = rlm(*served(server, "--timeout", "0.3"), cwd=folder, OPENAI_API_KEY=KEY)
    assert (done.returncode, done.stdout) == (0, "still here\n")
    first = log_of(folder).first(events.CodeExecuted)
    assert first is not None and first.error is not None
    assert "imeout" in first.error.type


def test_rr71_thinking_and_temperature_reach_the_model(folder: Path) -> None:
    with LoopbackServer([block('submit(answer="x")')]) as server:
        arguments = served(server, "--thinking", "low", "--temperature", "0.5")
        done = rlm(*arguments, cwd=folder, OPENAI_API_KEY=KEY)
    assert done.returncode == 0
    asked = log_of(folder).first(events.ModelAsked)
    assert asked is not None
    assert asked.parameters == {"thinking": "low", "temperature": 0.5}


def test_limits_prices_and_tags_of_the_command_line_are_those_of_the_run(folder: Path) -> None:
    done = rlm(
        "run", QUESTION, "-c", "big.txt", "-m", "offline/needle", "--max-cost", "0.25",
        "--max-llm-calls", "9", "--max-sub-calls", "8", "--max-tokens", "70000",
        "--max-seconds", "60", "--max-concurrency", "5", "--max-output-tokens", "400",
        "--price", "offline/needle=1/2", "--tag", "a", "--tag", "b", "--dialect", "json",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = started(folder)
    assert Limits(**run.limits) == Limits(
        max_cost_usd="0.25", max_llm_calls=9, max_sub_calls=8, max_tokens=70_000, max_seconds=60,
        max_concurrency=5, max_output_tokens=400,
    )  # fmt: skip
    assert (run.tags, run.dialect) == (("a", "b"), "json")
    assert (Result(log_of(folder)).cost or 0) > 0


def test_defaults_that_the_help_names_are_those_of_limits(folder: Path) -> None:
    said = " ".join(rlm("run", "--help", cwd=folder, COLUMNS="200").stdout.split())
    limits = Limits()
    for option, value in {
        "--timeout": f"{limits.cell_seconds:g}",
        "--max-iterations": limits.max_iterations,
        "--max-depth": limits.max_depth,
        "--max-concurrency": limits.max_concurrency,
        "--max-output-tokens": limits.max_output_tokens,
    }.items():
        assert f"[default: {value}]" in said.split(f" {option} ", 1)[1].split("--")[0]
    assert f"({limits.on_exceeded}, the default)" in said


# What is shown ----------------------------------------------------------------------------------


def test_json_holds_the_result_and_where_its_log_is(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "big.txt", "-m", "offline/needle", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert found["output"] == {"answer": "4711"}
    assert Result(Trace.read(folder / found["log"])).run_id == found["run_id"]


def test_a_typed_answer_is_printed_as_json(folder: Path) -> None:
    with LoopbackServer([block("submit(pages=[1, 2], found=True)")]) as server:
        done = rlm(
            "run", "--signature", "text -> pages: list[int], found: bool", "-c", "big.txt",
            "-m", "openai/root", "--base-url", server.openai_url, cwd=folder, OPENAI_API_KEY=KEY,
        )  # fmt: skip
    assert json.loads(done.stdout) == {"pages": [1, 2], "found": True}


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_rr75_verbose_prints_each_turn_to_stderr(folder: Path, flag: str) -> None:
    with LoopbackServer([block("print(6 * 7)\n1 / 0"), block('submit(answer="x")')]) as server:
        done = rlm(*served(server, flag), cwd=folder, OPENAI_API_KEY=KEY)
    assert done.stdout == "x\n"
    assert "│ print(6 * 7)" in done.stderr
    assert "→ 42" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_stream_prints_the_roots_text_as_it_comes(folder: Path) -> None:
    reply = "Thinking aloud.\n" + block('submit(answer="x")')
    with LoopbackServer([reply]) as server:
        done = rlm(*served(server, "--stream"), cwd=folder, OPENAI_API_KEY=KEY)
    assert done.stdout == "x\n"
    assert "Thinking aloud." in done.stderr


def test_no_log_leaves_nothing_behind(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "big.txt", "-m", "offline/needle", "--no-log", cwd=folder)
    assert done.returncode == 0
    assert not (folder / "logs").exists()


def _on_terminal(
    arguments: list[str],
    folder: Path,
    until: str = "",
    by: signal.Signals = signal.SIGINT,
    **variables: str,
) -> tuple[int, str, str]:
    """Run with stderr on a terminal and stdout in a pipe; signal it when `until` is read."""
    main, side = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(folder, TERM="xterm", COLUMNS="90", LINES="30", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=side,
    )
    os.close(side)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.1)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            seen += piece
            if until and until.encode() in seen:
                until = ""
                program.send_signal(by)
    os.close(main)
    out, _ = program.communicate(timeout=30)
    return program.returncode, out.decode(), seen.decode()


def test_on_a_terminal_a_live_tree_is_on_stderr_and_the_answer_on_stdout(folder: Path) -> None:
    code, out, err = _on_terminal(
        ["run", QUESTION, "-c", "big.txt", "-m", "offline/needle"], folder
    )
    assert (code, out) == (0, "4711\n")
    assert "offline/needle · turn" in err
    assert "completed · ended by submitted" in err


def test_quiet_is_quiet_on_a_terminal_too(folder: Path) -> None:
    code, out, err = _on_terminal(
        ["run", QUESTION, "-c", "big.txt", "-m", "offline/needle", "-q"], folder
    )
    assert (code, out, err) == (0, "4711\n", "")


def test_without_colour_the_tree_still_reads(folder: Path) -> None:
    _, _, err = _on_terminal(
        ["run", QUESTION, "-c", "big.txt", "-m", "offline/needle"], folder, NO_COLOR="1"
    )
    assert "offline/needle · turn" in err
    assert "\x1b[3" not in err  # no colour is set


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_run_in_good_order_and_says_where_the_log_is(
    folder: Path, by: signal.Signals
) -> None:
    with LoopbackServer({"default": {"reply": "late", "delay": 30}}) as server:
        code, out, err = _on_terminal(
            served(server), folder, until="asking", by=by, OPENAI_API_KEY=KEY
        )
    assert (code, out) == (130, "")
    (log,) = (folder / "logs").glob("*.jsonl")
    assert f"interrupted; its log is whole: logs/{log.name}" in err.replace("\r\n", "")
    assert "Traceback" not in err
    result: Result[Any] = Result(Trace.read(log))
    assert result.status == "aborted"
    assert not [view for view in result.calls() if view.status == "running"]


# How it exits -----------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"default": block("print(1)")}) as running:
        yield running


def test_exit_3_means_that_a_person_should_look(folder: Path, server: LoopbackServer) -> None:
    arguments = served(server, "--max-iterations", "1", "--on-exceeded", "needs_review")
    done = rlm(*arguments, cwd=folder, OPENAI_API_KEY=KEY)
    assert done.returncode == 3
    assert "needs review" in done.stderr


def test_exit_1_means_that_the_run_ended_without_an_answer(folder: Path) -> None:
    with LoopbackServer({"default": {"fault": {"status": 401}}}) as server:
        done = rlm(*served(server), cwd=folder, OPENAI_API_KEY=KEY)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "provider error: AuthenticationFailed" in done.stderr
    assert KEY not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bogus"], "--bogus"),
        (["--max-iterations", "many"], "--max-iterations"),
        (["--max-iterations", "0"], "max_iterations"),
        (["--thinking", "hard"], "'hard'"),
        (["--max-cost", "cheap"], "'cheap'"),
        (["-c", "missing.txt"], "missing.txt"),
        (["-m", "nonsense/model"], "nonsense/model"),
        (["-m", "openai/gpt-5-mini"], "OPENAI_API_KEY"),
        (["-m", "gemini/gemini-3.1-pro-preview"], "GEMINI_API_KEY"),
        (["--price", "free"], "free"),
        (["--price", "m=cheap"], "m=cheap"),
        (["--signature", "no arrow"], "no arrow"),
        (["--log-dir", "big.txt/logs"], "big.txt/logs"),
    ],
)
def test_exit_2_means_misuse_and_the_line_names_it(
    folder: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    for name in (*KEYS, "RLM_DEBUG", "RLM_SUB_MODEL"):
        monkeypatch.delenv(name, raising=False)
    assert run_app(["run", QUESTION, "-m", "offline/needle", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert 1 <= len(err.splitlines()) <= 2


def test_misuse_in_a_process_of_its_own_is_the_same(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "missing.txt", "-m", "offline/needle", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rlm: there is no file 'missing.txt'\n"


def test_rlm_debug_shows_the_traceback(folder: Path) -> None:
    done = rlm("run", QUESTION, "-c", "nope", "-m", "offline/needle", cwd=folder, RLM_DEBUG="1")
    assert "Traceback" in done.stderr


def test_a_reader_that_goes_away_is_no_defect(folder: Path) -> None:
    done = subprocess.run(
        " ".join(f"'{part}'" for part in [*PROGRAM, "schema"]) + " | head -1",
        shell=True,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"{\n"
    assert done.stderr == b""
