from __future__ import annotations

import ast
import contextlib
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from fuzz.watchdog import watched
from hypothesis import given, settings
from hypothesis import strategies as st

import rlm.errors
from rlm.reply import Dialect, Exec, Final, ParseError, parse

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("replies.json").read_text(encoding="utf-8")
)
TABLE = [
    pytest.param(case, id=f"{group}: {case['name']}")
    for group, cases in CASES.items()
    for case in cases
]


@pytest.mark.parametrize("case", TABLE)
def test_a_reply_means_what_a_person_would_say(case: dict[str, Any]) -> None:
    outputs = case.get("outputs", ())
    if "error" in case:
        with pytest.raises(ParseError) as caught:
            parse(case["text"], outputs=outputs)
        assert case["error"] in str(caught.value)
        return
    action = parse(case["text"], outputs=outputs)
    if "exec" in case:
        assert isinstance(action, Exec)
        assert action.code == case["exec"]
    else:
        assert isinstance(action, Final)
        assert action.value == case["final"]
    assert action.skipped == case.get("skipped", 0)
    if "reasoning" in case:
        assert action.reasoning == case["reasoning"]


# -- the ids ------------------------------------------------------------------------------------

ONE = '{"action": "exec", "code": "print(1)"}'


def test_rr12_one_action_each_turn_the_first_and_the_others_are_counted() -> None:
    assert parse(ONE) == Exec("print(1)", dialect="json")
    action = parse(ONE + "\n" + ONE.replace("1", "2") + '\n{"action": "final", "answer": 3}')
    assert isinstance(action, Exec)
    assert (action.code, action.skipped) == ("print(1)", 2)


def test_rr13_exec_and_rr14_final_as_json() -> None:
    assert parse(ONE) == Exec("print(1)", dialect="json")
    assert parse('{"action": "final", "answer": {"n": 1}}') == Final({"n": 1}, dialect="json")


def test_rr15_a_malformed_reply_is_answered_with_what_was_wrong_and_what_to_write() -> None:
    with pytest.raises(ParseError, match=r'no action \'dance\'. Write {"action": "exec"'):
        parse('{"action": "dance"}')
    with pytest.raises(ParseError, match=r"prose without an action.*Write one ```repl block"):
        parse("I think that I am done.")


def test_rb48_the_tags_are_understood() -> None:
    assert parse("<rlm-code>\nx = 1\n</rlm-code>") == Exec("x = 1", dialect="tags")
    assert parse("<rlm-final>done</rlm-final>") == Final("done", dialect="tags")


def test_lesson_05_no_reply_raises_anything_but_a_sentence_for_the_model() -> None:
    for text in ("", "{", "```", "<rlm-code>", "<think>", "{'action': [", "\0", "FINAL(", "`" * 50):
        with pytest.raises(ParseError, match=r"[.]$"):
            parse(text)
    assert ParseError is rlm.errors.ParseError


def test_lesson_06_code_without_an_action_is_code_and_never_the_answer() -> None:
    assert parse('{"code": "print(1)"}') == Exec("print(1)", dialect="json")
    with pytest.raises(ParseError):
        parse("A reply without a code block.")


@pytest.mark.parametrize(
    "text",
    [
        "When I am sure I will write FINAL(answer), not before.",
        "Next I could use a ```repl block, or `FINAL(42)`.",
        "The task wants <rlm-final>, which I will give later.",
        'It expects `{"action": "final", "answer": 1}` at the end of all this.',
    ],
)
def test_lesson_07_an_action_that_is_only_mentioned_is_none(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


def test_lesson_08_an_answer_is_never_raw_action_json() -> None:
    inner = '{"action": "final", "answer": "Paris"}'
    for text in (inner, f"```json\n{inner}\n```", f"```final\n{inner}\n```", f"Well: {inner}"):
        action = parse(text)
        assert isinstance(action, Final)
        assert action.value == "Paris"


# -- properties ---------------------------------------------------------------------------------

PIECES = [
    "x = 1",
    "print(len(context))",
    "s = '''\n```\n'''",
    's = """\n```repl\nprint(1)\n```\n"""',
    "t = '</rlm-code>'",
    'u = \'{"action": "final", "answer": 1}\'',
    "for i in range(3):\n    print(i)",
    "def f(a):\n    '''It isn't `this`.'''\n    return a & 1",
    "# don't ```stop``` here",
    "v = re.sub('<think>.*?</think>', '', context)",
    "w = 'Grüße, “quoted”'",
    "r = '\\n\\t\\\\n'",
    "FINAL(x)",
    'd = """\nplain\n"""',
    "e = f(\n'''\nplain\n'''\n)",
    "await f(1)",
    "ok = a < b and c > d and 'amp; &lt;'",
    "",
]


def programs() -> st.SearchStrategy[str]:
    literal = st.text(max_size=30).filter(lambda text: "\r" not in text and text.isprintable())
    line = st.sampled_from(PIECES) | literal.map(lambda text: f"lit = {text!r}")
    return (
        st.lists(line, min_size=1, max_size=8)
        .map("\n".join)
        .map(lambda code: code.strip("\n"))
        .filter(lambda code: any(not isinstance(n, ast.Pass) for n in ast.parse(code).body))
    )


@settings(max_examples=150, deadline=None)
@given(programs(), st.sampled_from(["", "I look first.\n\n", "<think>so</think>\n"]))
def test_code_comes_back_from_each_dialect_as_it_was(code: str, before: str) -> None:
    wrapped: dict[Dialect, list[str]] = {
        "fence": [f"```repl\n{code}\n```", f"~~~~python\n{code}\n~~~~\nDone."],
        "json": [json.dumps({"action": "exec", "code": code})],
        "tags": [f"<rlm-code>\n{code}\n</rlm-code>"],
    }
    for dialect, texts in wrapped.items():
        for text in texts:
            action = parse(before + text)
            assert isinstance(action, Exec)
            assert (action.code, action.dialect) == (code, dialect)


@settings(max_examples=150, deadline=None)
@given(programs())
def test_indented_code_compiles_to_the_same_program(code: str) -> None:
    if '"""' in code or "'''" in code:
        return  # indenting changes what such strings hold
    action = parse("```repl\n" + textwrap.indent(code, "    ", lambda _: True) + "\n```")
    assert isinstance(action, Exec)
    assert ast.dump(ast.parse(action.code)) == ast.dump(ast.parse(code))


FRAGMENTS = st.sampled_from(
    [
        *("```repl\n", "```", "\n```\n", "~~~", "`", "final", "'''", "``", ">>> ", "\r\n", "\n"),
        *("{", "}", "[", '"action"', ": ", "'exec'", ",", '"code"', '"', "\\", "\\u", "// x", "/*"),
        *("<rlm-code>", "</rlm-code>", "&lt;rlm-final&gt;", "<think>", "</think>", "“", '{"a":'),
        *("FINAL(", ")", "submit(", "print(1)", "'''python\n", "</code>"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join))
def test_any_text_is_an_action_or_a_parse_error(text: str) -> None:
    try:
        action = parse(text, outputs=("a", "b"))
    except ParseError as error:
        assert str(error).endswith(".")
    else:
        assert isinstance(action, Exec | Final)
        assert not isinstance(action, Exec) or action.code.strip()


MEGABYTE = [
    "{" * 1_000_000,
    '{"a":' * 200_000,
    "{'action': '" * 80_000,
    '{"code": "' * 100_000,
    "[" * 1_000_000,
    "`" * 1_000_000,
    "` " * 500_000,
    "```\n" * 250_000,
    "```repl\n" * 120_000,
    "```final\n" * 110_000,
    "```text\n" * 110_000,
    "```repl\n(x '''\n```\n" * 50_000,
    "```repl\n\"\"\"\n```\n'''\n" * 45_000,
    "<rlm-code>" * 100_000,
    "<rlm-code>'''\n" * 70_000,
    "<rlm-final>\n" * 80_000,
    "<think></think>" * 60_000,
    "``repl\n" * 140_000,
    "'''python\n" * 100_000,
    "FINAL(\n\n" * 120_000,
    "a = b\n\n" * 30_000 + "(",
    "<think>\n" * 120_000,
    "a</think>\n" * 100_000,
    "FINAL(\n" * 140_000,
    "\nsubmit(" * 120_000,
    " " * 1_000_000,
    "\n" * 1_000_000,
    "\\" * 1_000_000,
    '"' * 1_000_000,
    "'''" * 330_000,
    "```repl x" + " ```" * 250_000 + "y",
    "&lt;rlm-code" * 80_000,
    "x = 1\n" * 160_000,
    "```repl\n" + "x = 1\n\n" * 140_000 + "(",
    "```repl\n" + "print('a')\n" * 90_000 + "```",
    '{"action": "exec", "code": "' + 'x = "a"}\n' * 100_000,
    "{'action': 'exec', 'code': '" + "print(1)\\n" * 90_000 + "'}",
    "x" + "\n" * 1_000_000 + "y",
    "x = 1" + "\n \t" * 60_000 + "y",
    "```repl\n" + "\n" * 190_000 + "(",
    "x ```repl\n" * 100_000,
    "x ```repl\n" * 100_000 + "```\n",
    "{#" * 500_000,
    "```" + " " * 1_000_000 + "`",
    "```repl " + " " * 1_000_000 + "x",
    "~" * 1_000_000 + "`",
    "`" * 500_000 + "a b" + "`" * 499_999,
    "```repl\n" + '\\"' * 500_000 + "\n```",
    "```repl\n\\'''\n```\n" * 60_000,
    "```repl " + "a=a" * 300_000 + " x\nprint(1)\n```",
    "```repl " + 'a="a" ' * 160_000 + "x\nprint(1)\n```",
    "<rlm-code>\n<![CDATA[" + " " * 1_000_000 + "x\n</rlm-code>",
    "x<rlm-final>" * 80_000,
    "x<rlm-code>print(" * 60_000,
    "```repl\nfor " + "x in " * 38_000 + "\n",
    "```repl\nclass " + "a" * 190_000 + "\n",
    "{}</think>" * 100_000,
    "```\n" + "<think>\n" * 120_000 + "</think>",
    "int,\n\n" * 33_000,
    "x;" * 100_000,
    "```json\n{" * 100_000,
    "```repl\n<rlm-code>\n" * 50_000,
    '{"action": ' * 900 + "1" + "}" * 900,
]


@pytest.mark.parametrize("text", MEGABYTE, ids=lambda text: repr(text[:24]))
def test_a_megabyte_of_any_kind_is_read_to_its_end(text: str) -> None:
    with watched(60), contextlib.suppress(ParseError):  # quadratic work would take hours here
        parse(text)


def test_an_entity_of_thousands_of_digits_is_left_as_it_is() -> None:
    code = f"print('&#{'1' * 5_000};')"
    assert parse(f"&lt;rlm-code&gt;\n{code}\n&lt;/rlm-code&gt;") == Exec(code, dialect="tags")


@pytest.mark.parametrize("info", ["name=a b='c d'", 'title="a b" x=1', "id=1"])
def test_attributes_of_a_fence_are_no_code(info: str) -> None:
    assert parse(f"```repl {info}\nprint(1)\n```") == Exec("print(1)")
