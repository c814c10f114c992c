from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rlm
from rlm import prompt, tokens
from rlm.errors import ConfigurationError, ContextWindowExceeded
from rlm.events import ModelFact
from rlm.guest import text as guest_text
from rlm.guest.episode import Batch, Failure, outcome
from rlm.limits import Limits
from rlm.lm.base import LM, Delta, Message, Request
from rlm.lm.offline import WINDOWS, OfflineLM, create
from rlm.prompt import Dialect, Opening
from rlm.reply import Exec, Final, parse
from rlm.result import Result
from rlm.sandbox.base import CellError, Execution
from rlm.signature import Signature
from rlm.usage import Price

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Change = Callable[[str], str]


class Submitted(Exception):
    pass


def ask(lm: LM, *messages: Message) -> str:
    return asyncio.run(lm.complete(Request(messages))).text


class Table:
    """A session without a runtime: prompts as the runtime writes them, cells run in the test.

    `change` is done to what a cell printed before the model sees it.
    """

    def __init__(
        self,
        signature: str,
        inputs: Mapping[str, Any],
        *,
        dialect: Dialect = "fence",
        depth_left: int = 2,
        change: Change = lambda printed: printed,
        models: tuple[str, ...] = (),
    ) -> None:
        self.signature = Signature.parse(signature)
        self.submitted: dict[str, Any] | None = None
        self.replies: list[str] = []
        self.printed: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.change = change
        self.dialect = dialect
        self.lm = create("offline/needle")
        self.messages = list(
            prompt.opening(
                Opening(
                    self.signature,
                    self.signature.instructions,
                    [prompt.describe(name, value) for name, value in inputs.items()],
                    Limits(),
                    dialect,
                    depth_left,
                    [ModelFact(name=name, role="allowed", window=9) for name in models],
                )
            )
        )
        self.space: dict[str, Any] = {
            **inputs,
            "submit": self._submit,
            "parallel_queries": self._queries,
            "parallel_predict": self._predict,
            "chunk_text": guest_text.chunk_text,
            "Failure": Failure,
        }

    def _submit(self, **values: Any) -> None:
        self.submitted = values
        raise Submitted

    def _queries(self, *jobs: dict[str, Any]) -> Batch:
        self.asked += jobs
        return Batch(outcome(self._typed(job)) for job in jobs)

    def _typed(self, job: dict[str, Any]) -> dict[str, Any]:
        signature = Signature.parse(f"context -> answer: {job['output']}")
        given = {"context": job["context"]}
        return self._reply(signature.with_instructions(job["prompt"]), given)

    def _predict(self, signature: str, rows: list[dict[str, Any]]) -> Batch:
        contract = Signature.parse(signature)
        return Batch(outcome(self._reply(contract, row)) for row in rows)

    def _reply(self, signature: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
        said = ask(create("offline/reader"), *prompt.typed_query(signature, given))
        try:
            values = signature.dump(signature.coerce(json.loads(said)))
        except ValueError:
            return {"failure": {"type": "ValidationFailed", "message": said}}
        value = values["answer"] if list(values) == ["answer"] else values
        return {"text": prompt.render(value), "value": value}

    def turn(self) -> None:
        said = ask(self.lm, *self.messages)
        self.replies.append(said)
        action = parse(said)
        assert isinstance(action, Exec), said
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(Submitted):
            exec(action.code, self.space)
        self.printed.append(out.getvalue())
        shown = self.change(out.getvalue())
        seen = prompt.observation(
            Execution(stdout=shown, stdout_chars=len(shown)), cell=len(self.replies), max_chars=9000
        )
        self.messages += [Message("assistant", said), Message("user", seen)]

    def play(self) -> dict[str, Any]:
        while self.submitted is None:
            self.turn()
            assert len(self.replies) < 20, "it goes on for ever"
        return self.submitted


def haystack(sentence: str, lines: int = 500) -> str:
    rows = [
        f"line {n}: nothing of interest, but {n * 7919 % 1000} is a number" for n in range(lines)
    ]
    rows.insert(lines // 3, sentence)
    return "\n".join(rows)


FIND = "context -> answer: int\n\nWhat is the magic number?"


# Names ----------------------------------------------------------------------------------------


def test_the_known_names_are_made_and_others_are_refused_with_the_list() -> None:
    for name, window in WINDOWS.items():
        made = create(name)
        assert isinstance(made, LM)
        assert (made.name, made.window, made.price) == (name, window, Price.per_million(0, 0))
    with pytest.raises(ConfigurationError, match=r"'offline/gpt'.*offline/needle, offline/reader"):
        create("offline/gpt")


def test_usage_is_the_estimate_of_what_was_said() -> None:
    request = Request((Message("user", "What is the magic number?\n\nThe magic number is 7."),))
    reply = asyncio.run(create("offline/reader").complete(request))
    assert reply.text == "7"
    assert reply.usage is not None
    assert reply.usage.input_tokens == tokens.estimate(request.prompt)
    assert reply.usage.output_tokens == tokens.estimate("7")


def test_it_streams_its_text_and_refuses_what_is_longer_than_its_window() -> None:
    pieces: list[Delta] = []
    lm = create("offline/needle")
    opened = Table(FIND, {"context": "x"}).messages
    reply = asyncio.run(lm.complete(Request(tuple(opened)), pieces.append))
    assert "".join(piece.text for piece in pieces) == reply.text
    with pytest.raises(ContextWindowExceeded) as caught:
        ask(lm, Message("user", "x" * 4 * 128_001))
    assert (caught.value.tokens, caught.value.window) == (128_001, 128_000)


# The session ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("depth_left", [0, 1, 2])
def test_rr01_it_looks_searches_verifies_and_submits(dialect: Dialect, depth_left: int) -> None:
    data = {"context": haystack("The magic number is 48151.")}
    table = Table(FIND, data, dialect=dialect, depth_left=depth_left)
    assert table.play() == {"answer": 48151}
    assert [line.partition(":")[0] for line in "".join(table.printed).splitlines()] == [
        "texts",
        "size",
        "head",
        "hits",
        "passage",
    ]


def test_without_the_sentence_it_says_so_and_has_no_number() -> None:
    table = Table("context -> answer: str\n\nWhat is the magic number?", {"context": haystack("")})
    said = table.play()["answer"]
    assert "did not find" in said
    assert not re.search(r"\d", said)
    optional = Table("context -> answer: int | None\n\nWhat is the magic number?", {"context": "x"})
    assert optional.play() == {"answer": None}


@given(st.integers(100, 10**9), st.integers(100, 10**9))
@settings(max_examples=15, deadline=None)
def test_it_answers_what_the_observation_says_and_not_what_the_data_says(
    true: int, seen: int
) -> None:
    def corrupt(printed: str) -> str:
        return printed.replace(f"number is {true}.", f"number is {seen}.")

    data = {"context": haystack(f"The magic number is {true}.")}
    assert Table(FIND, data, change=corrupt).play() == {"answer": seen}


@pytest.mark.parametrize("label", ["hits", "passage"])
def test_it_has_no_answer_when_an_observation_is_lost(label: str) -> None:
    def strip(printed: str) -> str:
        return "\n".join(line for line in printed.splitlines() if not line.startswith(label))

    said = Table(FIND, {"context": haystack("The magic number is 5.")}, change=strip).play()
    assert "I do not see what my cells print" in said["answer"]


def test_a_sentence_spelled_otherwise_is_found_by_widening() -> None:
    table = Table(FIND, {"context": haystack("our MAGIC  NUMBER was 99.")})
    assert table.play() == {"answer": 99}
    assert any("allow other spacing" in reply for reply in table.replies)


def test_the_name_of_the_output_is_the_question_when_there_are_no_words() -> None:
    table = Table("page -> launch_code: str", {"page": haystack("The launch code is X-7.5.")})
    assert table.play() == {"launch_code": "X-7.5"}


def test_the_question_may_be_an_input() -> None:
    table = Table(
        "report, question -> answer: str, pages: list[int]",
        {"report": haystack("The launch code is K-1."), "question": "What is the launch code?"},
    )
    assert table.play() == {"answer": "K-1", "pages": []}


def test_a_failed_cell_is_read_and_told() -> None:
    table = Table("context -> answer: str\n\nWhat is the magic number?", {"context": "x"})
    table.turn()
    error = CellError("MemoryError", "it is too large", line=3, source="load()")
    failed = prompt.observation(Execution(error=error), cell=1, max_chars=900)
    table.messages[-1] = Message("user", failed)
    assert "MemoryError: it is too large" in table.play()["answer"]


def test_it_says_that_it_is_no_language_model_when_it_does_not_know_how() -> None:
    table = Table("context -> answer: str\n\nWrite a poem about rain.", {"context": "x"})
    assert "not a language model" in table.play()["answer"]
    assert "not a language model" in ask(create("offline/reader"), Message("user", "Sing."))


LEDGER = "\n".join(
    f"Note {n}. The invoice total of {who} is {amount}. Thanks."
    for n, (who, amount) in enumerate([("Ada", "12.50"), ("Bob", "$1,100.25"), ("Cyd", "7")])
)


@pytest.mark.parametrize(
    ("signature", "asked", "expected"),
    [
        ("context -> answer: float", "What is the sum of all invoice totals?", 1119.75),
        ("context -> answer: int", "How many invoice totals are there?", 3),
        ("context -> who: str, answer: float", "Who has the largest invoice total?", None),
        ("context -> answer: list[str]", "List all invoice totals.", ["12.50", "$1,100.25", "7"]),
        ("context -> answer: int", 'How many times does "invoice" appear?', 3),
    ],
)
def test_it_counts_lists_and_adds(signature: str, asked: str, expected: Any) -> None:
    said = Table(f"{signature}\n\n{asked}", {"context": LEDGER}).play()
    assert said == ({"answer": expected} if expected else {"who": "Bob", "answer": 1100.25})


TALLY = 'Which word follows "raise" at the start of a line most often, and how often?'


@pytest.mark.parametrize("depth_left", [0, 2])
def test_a_tally_is_narrowed_mapped_and_added(depth_left: int) -> None:
    words = ["ValueError", "KeyError", "OSError", "ValueError", "TypeError"] * 3000
    code = "\n".join(f"def f{n}():\n    raise {word}('no')\n" for n, word in enumerate(words))
    table = Table(
        f"code -> word: str, times: int\n\n{TALLY}", {"code": code}, depth_left=depth_left
    )
    assert table.play() == {"word": "ValueError", "times": 6000}
    assert len(table.asked) == (7 if depth_left else 0)


def test_a_tally_over_replies_that_are_wrong_is_wrong() -> None:
    table = Table(
        f"code -> word: str, times: int\n\n{TALLY}", {"code": "raise A\nraise A\nraise B\n"}
    )
    table._typed = lambda job: {"text": "", "value": {"B": 5}}  # type: ignore[method-assign]
    assert table.play() == {"word": "B", "times": 5}


def test_a_piece_that_fails_twice_leaves_no_answer() -> None:
    table = Table(f"code -> word: str, times: int\n\n{TALLY}", {"code": "raise A\n"})
    table._typed = lambda job: {"failure": {"type": "RateLimited", "message": "slow down"}}  # type: ignore[method-assign]
    said = table.play()
    assert "slow down" in said["word"]
    assert [job.get("sample", 0) for job in table.asked] == [0, 1]


def test_one_answer_for_each_text_long_ones_to_the_dearest_model() -> None:
    reviews = [
        "I love it, great and reliable",
        "terrible, it broke. " + "x" * 300,
        "love it, hate it",
    ]
    asked = (
        "Is each review positive, negative or mixed? Ask the dearest if longer than 200 characters."
    )
    mood = "Literal['positive', 'negative', 'mixed']"
    table = Table(
        f"reviews: list[str] -> moods: list[{mood}]\n\n{asked}",
        {"reviews": reviews},
        models=("m/cheap", "m/dear"),
    )
    assert table.play() == {"moods": ["positive", "negative", "mixed"]}
    assert [job.get("model") for job in table.asked] == [None, "m/dear", None]


def test_the_last_request_is_answered_from_what_was_read() -> None:
    for dialect in DIALECTS:
        table = Table(FIND, {"context": haystack("The magic number is 31.")}, dialect=dialect)
        for turns, expected in ((1, "stopped before"), (2, 31)):
            for _ in range(turns):
                table.turn()
            last = prompt.last_request("out of turns", table.signature, dialect)
            said = parse(ask(table.lm, *table.messages, Message("user", last)))
            assert isinstance(said, Final)
            answer = said.value["answer"]
            assert answer == expected or str(expected) in str(answer)


# The reader -----------------------------------------------------------------------------------


def read(signature: str, text: str) -> str:
    contract = Signature.parse(signature)
    return ask(create("offline/reader"), *prompt.typed_query(contract, {"text": text}))


def test_the_reader_reads_its_own_context_and_says_what_is_not_here() -> None:
    def asked(context: str) -> str:
        return ask(create("offline/reader"), *prompt.query("What is the magic number?", context))

    assert asked("one\nThe magic number is 12.\ntwo") == "12"
    assert asked("one\n</context>\nThe magic number is 13.") == "13"
    assert asked("nothing") == "not here"


@given(st.lists(st.sampled_from(["raise A", "  raise Bee(1)", "raised C", "x = 1; raise D", ""])))
def test_the_reader_counts_what_stands_there(lines: list[str]) -> None:
    asked = f"text -> answer: dict[str, int]\n\n{TALLY}"
    truth = Counter(line.split()[1].partition("(")[0] for line in lines if "raise " in line[:8])
    assert json.loads(read(asked, "\n".join(lines)))["answer"] == truth


def test_the_reader_extracts_what_labels_and_sentences_say() -> None:
    text = "INVOICE\nVendor: Ada Ltd.\nInvoice number: A-17\nThe total is $1,234.50.\n"
    asked = (
        "text -> vendor: str, invoice_number: str, total: float, due: str | None\n\nExtract these."
    )
    assert json.loads(read(asked, text)) == {
        "vendor": "Ada Ltd.",
        "invoice_number": "A-17",
        "total": 1234.5,
        "due": None,
    }
    assert "not a language model" in read(
        "text -> vendor: int, total: int\n\nExtract.", "none of it"
    )


def test_two_models_of_one_name_say_the_same() -> None:
    opened = tuple(Table(FIND, {"context": "x"}).messages)
    said = {asyncio.run(OfflineLM().complete(Request(opened))).text for _ in range(3)}
    assert len(said) == 1


@given(st.text(), st.sampled_from(["int", "str", "dict[str, int]", "Literal['a', 'b'] | None"]))
def test_whatever_it_is_asked_it_replies(text: str, kind: str) -> None:
    assert ask(create("offline/reader"), Message("user", text))
    assert read(f"text -> answer: {kind}\n\nWhat is the {text[:5]}?", text)


LABELS = ["hits", "wide_hits", "passage", "answer", "replies", "failed", "lines", "found"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LABELS),
            st.text(max_size=20) | st.integers().map(str) | st.just('{"number": []}'),
        )
    ),
    st.sampled_from([FIND, f"context -> answer: str\n\n{TALLY}", "context -> x: list[str]"]),
)
@settings(deadline=None)
def test_whatever_its_cells_print_it_goes_on(lines: list[tuple[str, str]], asked: str) -> None:
    table = Table(asked, {"context": "x"})
    table.turn()
    printed = "\n".join(f"{label}: {value}" for label, value in lines)
    table.messages[-1] = Message("user", f"<stdout>\n{printed}\n</stdout>")
    assert isinstance(parse(ask(table.lm, *table.messages)), Exec)
    last = prompt.last_request("out of turns", table.signature, "fence")
    assert parse(ask(table.lm, *table.messages, Message("user", last)))


# In a run -------------------------------------------------------------------------------------


def run(signature: str, data: Any, asked: str, **options: Any) -> Result[Any]:
    return rlm.predict(
        signature, input={"context": data}, instructions=asked, model="offline/needle", **options
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("max_depth", [0, 1, 2])
def test_rr01_it_answers_in_a_run(dialect: Dialect, max_depth: int) -> None:
    data = haystack("The magic number is 48151.")
    limits = Limits(max_depth=max_depth)
    result = run(
        "context -> answer: int", data, "What is the magic number?", dialect=dialect, limits=limits
    )
    assert (result.status, result.value, result.iterations) == ("completed", 48151, 4)
    assert result.cost == 0
    assert result.usage.total_tokens > 1000


@pytest.mark.parametrize(("turns", "value"), [(2, None), (3, 48151)])
def test_rr16_its_last_answer_is_what_it_had_read(turns: int, value: int | None) -> None:
    data = haystack("The magic number is 48151.")
    limits = Limits(max_iterations=turns)
    asked = "What is the magic number?"
    result = run("context -> answer: int | None", data, asked, limits=limits)
    assert (result.forced, result.value) == (True, value)


def test_without_the_sentence_a_run_has_no_number() -> None:
    result = run("context -> answer: int", haystack(""), "What is the magic number?")
    assert result.status == "failed_validation"


def test_a_context_beyond_the_readers_window_is_read_in_a_session_of_its_own() -> None:
    def root(request: Request) -> str:
        return (
            "```repl\nsubmit(answer=llm_query('What is the magic number?', context=context))\n```"
        )

    data = haystack("The magic number is 7.", lines=20_000)
    result = rlm.predict(
        "context -> answer: int", input={"context": data}, model=root, sub_model="offline/reader"
    )
    assert (result.value, [call.route for call in result.calls()]) == (7, ["repl", "repl"])


def test_a_tally_in_a_run_is_read_by_sub_calls() -> None:
    code = "\n".join(f"raise {word}(1)" for word in ["A", "B", "A"] * 5000)
    result = run("context -> word: str, times: int", code, TALLY, sub_model="offline/reader")
    assert dict(result.output) == {"word": "A", "times": 10_000}
    assert result.sub_calls == 4
