from __future__ import annotations

import json
from typing import Any

import pytest
from runs import USED, cell, final, probe, run, scripted, sub, told

import rlm
from rlm import events
from rlm.testing import ScriptedLM

BIG = "one fact after another. " * 4_000  # about 20,000 tokens


def small_window(*replies: Any) -> ScriptedLM:
    lm = sub(*replies)
    lm.window = 12_000
    return lm


def routes(result: rlm.Result[Any]) -> list[tuple[str, str]]:
    return [(call.id, call.route) for call in result.calls()]


# Which way a sub-call goes --------------------------------------------------------------------


def test_what_fits_the_window_is_one_completion() -> None:
    code = "e = llm_query('how many?', context=text[:900])\nsubmit(e.route)"
    result = run(cell(code), sub_model=small_window("r"), input={"text": BIG})
    assert (result.value, routes(result)) == ("completion", [("0", "repl"), ("0.1", "completion")])


def test_what_does_not_fit_is_read_by_a_call_of_its_own() -> None:
    small = small_window(cell("submit(answer=str(len(context)))"))
    code = "e = llm_query('how long?', context=text)\nsubmit(e + ' ' + e.route)"
    result = run(cell(code), sub_model=small, input={"text": BIG})
    assert result.value == f"{len(BIG)} repl"
    assert "how long?" in told(small)
    assert BIG not in told(small)


def test_what_does_not_fit_at_the_deepest_level_is_an_error_with_both_numbers() -> None:
    code = """
try:
    llm_query("how long?", context=text)
except ContextWindowExceeded as error:
    submit([error.tokens, error.window, str(error)])
"""
    small = small_window()
    result = run(
        cell(code),
        signature="text -> answer: list[Any]",
        input={"text": BIG},
        sub_model=small,
        limits={"max_depth": 1},
    )
    tokens, window, message = result.value
    assert 15_000 < tokens < 40_000
    assert window == 12_000
    assert "12,000" in message
    assert not small.requests


@pytest.mark.parametrize(("by_hand", "route"), [("True", "repl"), ("False", "completion")])
def test_recursive_decides_it_by_hand(by_hand: str, route: str) -> None:
    reply = cell("submit('r')") if route == "repl" else "r"
    code = f"e = llm_query('x', recursive={by_hand})\nfound = [str(e), e.route]"
    assert probe(code, sub_model=sub(reply)) == ["r", route]


def test_a_child_has_a_namespace_of_its_own_and_hands_back_its_answer_only() -> None:
    child = cell("mine = 1\nsubmit(str(sorted(n for n in ('mine', 'secret') if n in globals())))")
    code = "secret = 1\ne = llm_query('x', recursive=True)\nsubmit(e + str('mine' in globals()))"
    assert run(cell(code), sub_model=sub(child)).value == "['mine']False"


def test_an_input_of_the_parent_goes_to_the_child_whole() -> None:
    child = cell("submit(str(len(context)) + context[-5:])")
    code = "submit(llm_query('x', context=text, recursive=True))"
    result = run(cell(code), sub_model=sub(child), input={"text": BIG + "naïve"})
    assert result.value == f"{len(BIG) + 5}naïve"


def test_a_file_goes_to_a_child_as_a_file() -> None:
    child = cell("submit(type(context).__name__ + context.text)")
    result = run(
        cell("submit(llm_query('x', context=doc, recursive=True))"),
        signature="doc: File -> answer",
        input={"doc": rlm.File(text="content")},
        sub_model=sub(child),
    )
    assert result.value == "Filecontent"


def test_a_file_that_fits_is_read_in_one_completion() -> None:
    small = sub("r")
    run(
        cell("submit(llm_query('x', context=doc))"),
        signature="doc: File -> answer",
        input={"doc": rlm.File(text="the content")},
        sub_model=small,
    )
    assert "the content" in told(small)


def test_a_child_that_fails_is_an_exception_in_the_cell() -> None:
    code = """
try:
    llm_query("x", recursive=True, output=int)
except BudgetExceeded as error:
    found = error.limit
"""
    child = sub(cell("1"), "only prose")
    assert probe(code, sub_model=child, limits={"max_iterations": 1}) == "max_iterations"


# Batches --------------------------------------------------------------------------------------


def test_a_batch_has_the_length_and_order_of_its_prompts_with_failures_in_their_slots() -> None:
    replies = ScriptedLM(
        {
            "a": ["A"],
            "b": [rlm.AuthenticationFailed("refused", model="scripted/sub")],
            "c": ["C"],
        },
        name="scripted/sub",
        usage=USED,
    )
    code = """
batch = parallel_queries("a", "b", "c")
failed = batch[1]
found = [len(batch), [str(r) for r in batch if r], bool(failed), failed.error, failed.message,
         failed.retryable, len(batch.failures)]
"""
    assert probe(code, sub_model=replies) == [
        3, ["A", "C"], False, "AuthenticationFailed", "refused", False, 1
    ]  # fmt: skip


def test_a_batch_with_a_malformed_query_keeps_the_others() -> None:
    code = """
batch = parallel_queries("a", {"promt": "b"}, {"prompt": "c", "temperature": 1}, 4)
found = [str(each) for each in batch]
"""
    found = probe(code, sub_model=sub("A"))
    assert found[0] == "A"
    assert all(each.startswith("ToolError: ") for each in found[1:])
    assert "promt" in found[1]
    assert "temperature" in found[2]


def test_an_empty_batch_is_an_empty_list() -> None:
    assert probe("found = [parallel_queries(), parallel_queries([])]") == [[], []]


def test_prompts_may_be_one_list() -> None:
    assert sorted(probe("found = parallel_queries(['a', 'b'])", sub_model=sub("1", "2"))) == [
        "1",
        "2",
    ]


def test_what_the_budget_does_not_cover_is_a_failure_in_its_slot() -> None:
    code = """
batch = parallel_queries(*map(str, range(30)))
found = [len(batch), sum(map(bool, batch)), sorted({f.error for f in batch.failures})]
"""
    dear = rlm.Reply("r", usage=rlm.Usage(input_tokens=10, output_tokens=8_000))
    total, answered, errors = probe(
        code, sub_model=sub(*[dear] * 30), limits={"max_cost_usd": "0.1"}
    )
    assert total == 30
    assert 0 < answered < 30
    assert errors == ["BudgetExceeded"]


# Typed sub-calls ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "reply", "value"),
    [
        ("'list[int]'", "[1, 2]", [1, 2]),
        ("list[int]", '{"answer": [1, "2"]}', [1, 2]),
        ("int", "```json\n7\n```", 7),
        ("'bool'", "yes", True),
        ("float", "1.5", 1.5),
        ("\"Literal['a', 'b']\"", '"b"', "b"),
    ],
)
def test_output_names_a_type(output: str, reply: str, value: Any) -> None:
    assert probe(f"found = llm_query('x', output={output}).value", sub_model=sub(reply)) == value


def test_a_typed_reply_that_does_not_fit_is_sent_back_once_with_the_reason() -> None:
    with sub("about seven", "7") as small:
        assert probe("found = llm_query('x', output=int).value", sub_model=small) == 7
    assert "is not int" in small.prompts[1]


def test_a_typed_reply_that_never_fits_is_a_failure() -> None:
    code = """
try:
    llm_query("x", output=int)
except ValidationFailed as error:
    found = error.problems
"""
    (problem,) = probe(code, sub_model=sub("about seven", "still seven"))
    assert "is not int" in problem


def test_an_output_that_is_no_type_is_told() -> None:
    code = "try: llm_query('x', output='strr')\nexcept ToolError as error: found = str(error)"
    assert "output='strr' is not a type" in probe(code)


def test_predict_has_fields_as_attributes() -> None:
    code = """
e = predict("text -> label: Literal['good', 'bad'], stars: int", text="I like it")
found = [e.label, e.stars, e.value]
"""
    small = sub('{"label": "good", "stars": "5"}')
    found = probe(code, sub_model=small)
    assert found == ["good", 5, {"label": "good", "stars": 5}]
    request = small.requests[0]
    assert "I like it" in request.prompt
    assert request.schema is not None
    assert json.loads(json.dumps(request.schema))["required"] == ["label", "stars"]


def test_parallel_predict_makes_one_typed_call_a_row() -> None:
    code = """
rows = [{"text": "a"}, {"text": "b"}, {"wrong": "c"}]
batch = parallel_predict("text -> n: int", rows)
found = [batch[0].n, batch[1].n, str(batch[2])]
"""
    replies = ScriptedLM(
        {"\na\n": ['{"n": 1}'], "\nb\n": ['{"n": 2}']}, name="scripted/sub", usage=USED
    )
    first, second, failed = probe(code, sub_model=replies)
    assert (first, second) == (1, 2)
    assert failed.startswith("ToolError: ")
    assert "'wrong'" in failed


def test_a_typed_child_may_be_a_call_of_its_own() -> None:
    code = "e = predict('text -> n: int', text=text, recursive=True)\nsubmit(n=e.n + 1)"
    result = run(
        cell(code),
        signature="text -> n: int",
        input={"text": BIG},
        sub_model=sub(cell("submit(len(text))")),
    )
    assert result.value == len(BIG) + 1
    assert routes(result) == [("0", "repl"), ("0.1", "repl")]


def test_a_signature_that_is_wrong_is_told_in_the_cell() -> None:
    code = "try: predict('text -> n: nit', text='x')\nexcept ToolError as error: found = str(error)"
    assert "nit" in probe(code)


# The tree -------------------------------------------------------------------------------------


def test_a_tree_of_calls_has_right_ids_parents_and_cells() -> None:
    branch = cell("submit(str(list(parallel_queries('x', 'y'))))")
    replies = ScriptedLM(
        {"left": [branch], "right": [branch], "x": ["X"] * 2, "y": ["Y"] * 2},
        name="scripted/sub",
        usage=USED,
    )
    code = """
queries = [{"prompt": p, "recursive": True} for p in ("left", "right")]
submit(str(list(parallel_queries(*queries))))
"""
    result = run(cell("x = 1"), cell(code), sub_model=replies)
    calls = {call.id: call for call in result.calls()}
    assert len(calls) == 7
    assert all(call.parent == call.id.rpartition(".")[0] for call in calls.values())
    starts = {e.call: e for e in result.trace.of(events.CallStarted)}
    assert (starts["0"].cell, starts["0.1"].cell, starts["0.1.1"].cell) == (None, 2, 1)
    assert [starts[each].depth for each in ("0", "0.1", "0.1.1")] == [0, 1, 2]


@pytest.mark.parametrize("slots", [1, 2, 16])
def test_parents_hold_no_slot_while_their_children_wait(slots: int) -> None:
    def reply(request: rlm.Request) -> rlm.Reply:
        if len(request.messages) == 1:
            return rlm.Reply("1", usage=USED)
        code = "submit(sum(int(r) for r in parallel_queries(*'abcd')))"
        return rlm.Reply(cell(code), usage=USED)

    code = "submit(sum(int(r) for r in parallel_queries(*[{'prompt': c, 'recursive': True}"
    result = run(
        cell(f"{code} for c in 'abcd'])))"),
        signature="-> n: int",
        sub_model=sub(*[reply] * 24),
        limits={"max_concurrency": slots},
    )
    assert result.value == 16
    assert result.sub_calls == 20


def test_a_child_pays_from_the_same_purse_and_its_cost_includes_its_children() -> None:
    dig = cell("submit(llm_query('leaf'))")
    code = "e = llm_query('dig', recursive=True)\nfound = [float(e.cost), e.iterations]"
    cost, iterations = probe(code, sub_model=sub(dig, "r"))
    assert cost == pytest.approx(2 * 0.00012)
    assert iterations == 1


def test_the_final_answer_of_a_child_is_not_the_run_s() -> None:
    assert run(cell("submit(llm_query('x', recursive=True) + '!')"), final("c")).value == "c!"


def test_sub_calls_under_one_model_for_all() -> None:
    with scripted(cell("submit(llm_query('q', context='c'))"), "r") as lm:
        assert rlm.completion("x", model=lm).value == "r"
    assert "<context>\nc\n</context>" in lm.prompts[1]
