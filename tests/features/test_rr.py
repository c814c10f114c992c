"""RubyRLM's core, REPL, safety and sub-calls, in the form that a Python user expects."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from runs import CHEAP, USED, cell, final, probe, run, scripted, sub, told

import rlm
from rlm import events
from rlm.limits import Limits
from rlm.testing import LoopbackServer, ScriptedLM

ROOT = Path(__file__).parents[2]
LONG = "x" * 40_000


# Core -----------------------------------------------------------------------------------------


def test_rr01_a_model_and_a_repl_reason_in_turns() -> None:
    with scripted(cell("n = len(text)\nprint('length', n)"), cell("submit(answer=n)")) as lm:
        result = rlm.predict("text -> answer: int", input={"text": LONG}, model=lm)
    assert result.value == 40_000
    assert result.iterations == 2
    assert "length 40000" in lm.prompts[1]


def test_rr02_completion_of_a_prompt() -> None:
    with scripted(cell("submit(answer=context.upper())")) as lm:
        assert rlm.RLM(model=lm).completion("say it loudly").value == "SAY IT LOUDLY"


def test_rr02_the_one_liner_over_a_context() -> None:
    with scripted(cell("submit(answer=str(len(context)))")) as lm:
        result = rlm.completion("How long is it?", context=LONG, model=lm)
    assert result.value == "40000"
    assert "How long is it?" in lm.prompts[0]


def test_rr02_root_prompt_is_the_question_when_the_prompt_is_the_data() -> None:
    with scripted(cell("submit(answer=str(len(context)))")) as lm:
        result = rlm.RLM(model=lm).completion(LONG, root_prompt="How long is it?")
    assert result.value == "40000"
    assert "How long is it?" in lm.prompts[0]
    assert LONG not in lm.prompts[0]


def test_rr03_gemini_over_its_own_wire() -> None:
    replies = [cell("print(len(text))"), cell("submit(answer=len(text))")]
    with LoopbackServer(replies) as server:
        model = rlm.Model(
            "gemini/gemini-3-pro-preview", base_url=server.gemini_url, api_key="key-of-a-test"
        )
        result = rlm.predict("text -> answer: int", input={"text": "four"}, model=model)
    assert (result.value, result.llm_calls) == (4, 2)
    assert {request.api for request in server.requests} == {"gemini"}
    assert result.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("reply", "kind"), [(cell("submit(answer='a')"), "exec"), (final("a"), "final")]
)
def test_rr04_two_actions(reply: str, kind: str) -> None:
    result = run(reply)
    assert result.value == "a"
    assert [turn.kind for turn in result.turns()] == [kind]


@pytest.mark.parametrize(("depth", "deepest"), [(0, "0"), (1, "0.1"), (2, "0.1.1"), (3, "0.1.1.1")])
def test_rr05_sub_calls_go_down_to_max_depth(depth: int, deepest: str) -> None:
    ask = cell("submit(answer=llm_query('go on', recursive=True))")
    plain = cell("submit(answer=llm_query('go on'))")
    replies = [final("bottom")] if depth == 0 else [*[ask] * (depth - 1), plain, "bottom"]
    result = run(*replies, limits={"max_depth": depth})
    assert result.value == "bottom"
    assert result.calls()[-1].id == deepest


def test_rr05_below_the_deepest_level_there_is_no_function_to_call() -> None:
    with scripted(cell("llm_query('x')"), final("no")) as lm:
        result = rlm.predict(
            "text -> answer: str", input={"text": "t"}, model=lm, limits={"max_depth": 0}
        )
    assert result.value == "no"
    assert result.sub_calls == 0
    assert "llm_query" not in told(lm, 0)


def test_rr06_below_the_cap_a_child_run_and_at_the_cap_one_completion() -> None:
    inner = cell("submit(answer=llm_query('at the cap'))")
    result = run(
        cell("submit(answer=llm_query('below the cap', recursive=True))"),
        inner,
        "deep",
        limits={"max_depth": 2},
    )
    assert result.value == "deep"
    assert [(call.id, call.route) for call in result.calls()] == [
        ("0", "repl"),
        ("0.1", "repl"),
        ("0.1.1", "completion"),
    ]


def test_rr07_what_a_result_tells() -> None:
    result = run(cell("llm_query('x')"), final("a"), sub_model=sub("y"))
    assert result.text == result.value == "a"
    assert result.usage.total_tokens == 330
    assert result.cost == sum(CHEAP.cost(USED) for _ in range(3))
    assert result.seconds > 0
    assert result.trace.first(events.CallStarted, call="0").model == "scripted/root"  # type: ignore[union-attr]
    facts = result.to_dict()
    assert facts["output"] == {"answer": "a"}
    assert json.loads(json.dumps(facts)) == facts


def test_rr08_the_options_under_their_present_names() -> None:
    with scripted(cell("submit(answer=llm_query('x'))")) as lm, sub("from the sub-model") as small:
        seen: list[Any] = []
        client = rlm.RLM(
            model=lm,  # backend and model_name
            sub_model=small,  # subcall_model
            limits=Limits(max_depth=1, max_iterations=5, max_sub_calls=3),  # and budget
            sandbox=rlm.ProcessSandbox(),  # environment and environment_options
            on_event=seen.append,  # logger and verbose
        )
        assert client.completion("ask").value == "from the sub-model"
    assert seen[0].type == "run_started"
    assert rlm.Model("openai/gpt-5-mini", api_key="given by hand").api_key == "given by hand"


def test_rr10_what_it_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"


def test_rr10_a_missing_key_is_told_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(rlm.ConfigurationError, match="GEMINI_API_KEY"):
        rlm.completion("x", model="gemini/gemini-3-pro-preview", log_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_rr11_installed_as_a_distribution_with_a_command() -> None:
    found = importlib.metadata.distribution("rlm-runtime")
    assert {entry.name for entry in found.entry_points} >= {"rlm"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in f"\n{makefile}" for target in ("demo", "test", "lint", "bench"))


def test_rr16_at_max_iterations_the_answer_is_asked_for_once_more() -> None:
    replies = [cell("n = 1"), cell("n = 2"), final("the best I know")]
    with scripted(*replies) as lm:
        result = rlm.predict(
            "text -> answer: str", input={"text": "t"}, model=lm, limits={"max_iterations": 2}
        )
    assert (result.status, result.forced, result.ended_by) == ("completed", True, "max_iterations")
    assert result.value == "the best I know"
    assert "last request" in lm.prompts[2]


# The REPL -------------------------------------------------------------------------------------


def test_rr17_context_is_the_only_text() -> None:
    assert run(cell("submit(answer=context + '!')"), input={"text": "the text"}).value == (
        "the text!"
    )


def test_rr17_an_input_called_context_is_never_shadowed() -> None:
    result = run(
        cell("submit(answer=context)"),
        signature="context: int, text -> answer: int",
        input={"context": 3, "text": "t"},
    )
    assert result.value == 3


def test_rr18_llm_query_asks_one_model_or_the_one_that_is_named() -> None:
    with sub("small") as small, sub("dear", name="scripted/dear") as dear:
        found = probe(
            "found = [llm_query('a'), llm_query('b', model='scripted/dear')]",
            sub_model=small,
            models=[dear],
        )
    assert found == ["small", "dear"]
    assert (small.prompts, dear.prompts) == (["a"], ["b"])


def test_rr19_an_episode_is_a_string_and_tells_how_it_came_about() -> None:
    code = """
e = llm_query("how many?", output="int")
found = [isinstance(e, str), e + "!", e.value, e.iterations, e.forced, e.forced_final,
         isinstance(e.episode, str), float(e.cost), e.route, e.sources]
"""
    assert probe(code, sub_model=sub("7")) == [
        True, "7!", 7, 1, False, False, True, 0.00012, "completion", []
    ]  # fmt: skip


def test_rr19_an_episode_of_a_forced_child_says_so() -> None:
    code = "e = llm_query('dig', recursive=True)\nfound = [str(e), e.iterations, e.forced_final]"
    child = sub(cell("x = 1"), final("the best"))
    found = probe(code, sub_model=child, limits={"max_iterations": 1})
    assert found == ["the best", 1, True]


def test_rr20_parallel_queries_of_strings_and_maps() -> None:
    with ScriptedLM({p: [p.upper()] for p in "abc"}, name="scripted/sub", usage=USED) as small:
        found = probe(
            "found = parallel_queries('a', {'prompt': 'b'}, {'prompt': 'c', 'model_name': "
            "'scripted/sub'}, max_concurrency=2)",
            sub_model=small,
        )
    assert found == ["A", "B", "C"]


def test_rr27_the_model_is_shown_a_summary_and_the_repl_holds_everything() -> None:
    with scripted(cell("submit(answer=len(text))")) as lm:
        result = rlm.predict("text -> answer: int", input={"text": LONG}, model=lm)
    assert result.value == len(LONG)
    assert len(told(lm)) < 12_000
    assert "40,000 characters" in told(lm)


def test_rr28_state_between_turns() -> None:
    result = run(
        cell("import math\nseen = [1]\ndef double(n): return n * factor"),
        cell("factor = 2\nseen.append(double(math.floor(4.5)))"),
        cell("submit(answer=str(seen))"),
    )
    assert result.value == "[1, 8]"


# Safety ---------------------------------------------------------------------------------------


def test_rr29_local_runs_in_the_host_process_and_says_that_it_is_no_wall() -> None:
    result = run(cell("submit(answer=text.upper())"), sandbox="local")
    assert result.value == "SOME TEXT"
    assert result.sandbox["name"] == "local"
    from rlm.sandbox import local

    assert "trusted" in (local.__doc__ or "") + (local.LocalSandbox.__doc__ or "")


def test_rr31_side_effects_are_off_unless_they_are_asked_for() -> None:
    with scripted(final("a")) as lm:
        rlm.predict("text -> answer: str", input={"text": "t"}, model=lm)
    assert "Change or send nothing outside the session" in told(lm)

    @rlm.tool
    def look() -> None:
        """Look."""

    assert look.category == "read_only"


def test_rr32_a_syntax_error_is_told_without_running() -> None:
    with scripted(cell("print('ran')\nx = = 1"), final("a")) as lm:
        result = rlm.predict("text -> answer: str", input={"text": "t"}, model=lm)
    assert not result.trace.of(events.CellStarted, events.CodeExecuted)
    assert "line 2" in lm.prompts[1]
    assert "x = = 1" in lm.prompts[1]
    assert "line 2" in result.turns()[0].problem


@pytest.mark.parametrize(
    "call",
    [
        "os.system('true')",
        "os.remove('/nowhere')",
        "shutil.rmtree('/nowhere')",
        "os.popen('true')",
        "subprocess.run(['true'])",
        "os.fork()",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
        "exit()",
    ],
)
def test_rr33_dangerous_calls_warn_and_do_not_block(call: str) -> None:
    code = f"import os, shutil, subprocess\ndef later(): {call}\ndone = True"
    with scripted(cell(code), cell("submit(answer=str(done))")) as lm:
        result = rlm.predict("text -> answer: str", input={"text": "t"}, model=lm)
    assert result.value == "True"
    (warning,) = result.turns()[0].warnings
    assert warning in lm.prompts[1]


def test_rr34_warnings_are_on_the_turn_they_belong_to() -> None:
    result = run(cell("x = 1"), cell("y = eval('2')"), final("a"))
    assert [bool(turn.warnings) for turn in result.turns()] == [False, True, False]
    assert "eval" in result.turns()[1].warnings[0]
