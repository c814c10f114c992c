"""The functions that a cell may call, made from one way to call the host."""

from __future__ import annotations

import ast
import functools
import sys
from typing import Any, Callable, Iterator, Mapping, Sequence

from . import text
from .episode import Batch, Episode, Failure, Text, episode, outcome
from .errors import BY_NAME, SubmitRefused, Submitted, ValidationFailed
from .previews import listing, preview
from .values import Record

__all__ = ["Call", "History", "aliases", "local", "outputs", "queries", "tool", "typed"]

Call = Callable[..., Any]
"""Calls a host function: name, positional arguments, keyword arguments."""


def queries(call: Call) -> dict[str, Any]:
    """Return the functions that ask models."""

    def llm_query(
        prompt: str,
        *,
        model: str | None = None,
        context: Any = None,
        output: Any = None,
        sample: int = 0,
        recursive: bool | None = None,
    ) -> Episode:
        """Ask a model, which sees only `prompt` and `context`; the reply is a string with more."""
        named = _given(model=model, context=context, output=_type_name(output), recursive=recursive)
        return episode(call("llm_query", (prompt,), {**named, **_given(sample=sample or None)}))

    def parallel_queries(
        *prompts: Any,
        max_concurrency: int | None = None,
        model: str | None = None,
        context: Any = None,
        output: Any = None,
    ) -> Batch:
        """Ask many prompts at once: strings, or dicts with prompt, model, context, output, sample.

        Returns a list as long as the prompts and in their order; a failed one is a falsy Failure.
        """
        items = _items(prompts)
        for number, item in enumerate(items):
            if isinstance(item, dict):
                items[number] = {**item, **_given(output=_type_name(item.get("output")))}
        named = _given(
            max_concurrency=max_concurrency, model=model, context=context, output=_type_name(output)
        )
        return Batch(outcome(reply) for reply in call("parallel_queries", items, named))

    return {"llm_query": llm_query, "parallel_queries": parallel_queries}


def typed(call: Call) -> dict[str, Any]:
    """Return the functions that make typed sub-calls."""

    def predict(
        signature: str,
        *,
        model: str | None = None,
        instructions: str | None = None,
        recursive: bool | None = None,
        sample: int = 0,
        **inputs: Any,
    ) -> Episode:
        """Make a typed sub-call, as in predict("text -> label: str", text=page).label."""
        named = _given(
            model=model, instructions=instructions, recursive=recursive, sample=sample or None
        )
        return episode(call("predict", (signature,), {**named, **inputs}))

    def parallel_predict(
        signature: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        model: str | None = None,
        max_concurrency: int | None = None,
    ) -> Batch:
        """Make one typed sub-call a row of inputs, at once; a failed row is a falsy Failure."""
        if isinstance(rows, (str, Mapping)):
            raise TypeError("parallel_predict() takes a list of rows, each a dict of the inputs")
        named = _given(model=model, max_concurrency=max_concurrency)
        replies = call("parallel_predict", (signature, list(rows)), named)
        return Batch(outcome(reply) for reply in replies)

    return {"predict": predict, "parallel_predict": parallel_predict}


def outputs(
    call: Call, names: Sequence[str], accepted: Callable[[], bool], accept: Callable[[], None]
) -> dict[str, Any]:
    """Return `submit`; `names` are the output fields, `accept` runs once the host has accepted."""

    def submit(*values: Any, **fields: Any) -> None:
        """Hand in the answer, a value for each output field. The cell ends when it is accepted."""
        if accepted():
            raise Submitted
        chosen = _fields(values, fields, names)
        try:
            call("submit", (), chosen)
        except ValidationFailed as error:
            refused = SubmitRefused(str(error))
            refused.__dict__.update(error.__dict__)
            raise refused from None
        accept()
        raise Submitted

    return {"submit": submit}


def local(call: Call, variables: Callable[[], list[tuple[str, Any]]]) -> dict[str, Any]:
    """Return the functions about the run and the namespace."""

    def budget() -> Any:
        """Return what is left, what was spent, and a forecast."""
        told = call("budget")
        return Record("Budget", told) if type(told) is dict else told

    def show_vars() -> Text:
        """Return a table of the variables: name, type, length, preview."""
        return Text(listing(variables()))

    def log(message: Any) -> None:
        """Write a message into the log of the run."""
        call("log", (str(message),))

    return {
        "budget": budget,
        "show_vars": show_vars,
        "log": log,
        "history": History(call),
        "chunk_text": text.chunk_text,
        "grep_text": text.grep_text,
        "Episode": Episode,
        "Failure": Failure,
        "SubmitRefused": SubmitRefused,
        **BY_NAME,
    }


def aliases(functions: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names under which other runtimes know the same functions."""
    submit, parallel_queries = functions["submit"], functions["parallel_queries"]

    def FINAL(value: Any) -> None:
        """Submit this value."""
        submit(value)

    def FINAL_VAR(variable: Any) -> None:
        """Submit a variable: by its name, or as itself, for models leave the quotes out."""
        if isinstance(variable, str) and variable in namespace:
            variable = namespace[variable]
        elif not any(value is variable for value in list(namespace.values())):
            raise NameError(f"FINAL_VAR: there is no variable {preview(variable, 200)}")
        submit(variable)

    return {
        "llm_query_batched": parallel_queries,
        "rlm_query": functions["llm_query"],
        "rlm_query_batched": parallel_queries,
        "SUBMIT": submit,
        "FINAL": FINAL,
        "FINAL_VAR": FINAL_VAR,
    }


def tool(call: Call, name: str, signature: str, doc: str) -> Callable[..., Any]:
    """Return a plain function that calls the host's tool `name`, with its real signature."""

    def call_tool(*args: Any, **kwargs: Any) -> Any:
        return call(name, args, kwargs)

    try:
        source = ast.parse(f"from __future__ import annotations\ndef {name}{signature}: ...")
        if not (len(source.body) == 2 and isinstance(source.body[1], ast.FunctionDef)):
            raise SyntaxError(signature)
        made: dict[str, Any] = {}
        exec(compile(source, f"<tool {name}>", "exec", dont_inherit=True), made)
        call_tool = functools.wraps(made[name])(call_tool)
    except Exception:
        doc = f"{signature}\n\n{doc}"  # defaults that only the host can evaluate: show, do not bind
    call_tool.__name__ = call_tool.__qualname__ = name
    call_tool.__doc__ = doc
    call_tool.__module__ = "__main__"
    return call_tool


class History(Sequence[Any]):
    """The earlier turns of this call, also those that were compacted away; read when looked at."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._turns: list[Any] | None = None

    def forget(self) -> None:
        """Read it afresh: another cell begins."""
        self._turns = None

    def _read(self) -> list[Any]:
        if self._turns is None:
            self._turns = list(self._call("history"))
        return self._turns

    def __len__(self) -> int:
        return len(self._read())

    def __getitem__(self, index: Any) -> Any:
        return self._read()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __repr__(self) -> str:
        return "\n".join(str(turn) for turn in self._read()) or "no earlier turns"


def _given(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _items(prompts: tuple[Any, ...]) -> list[Any]:
    if len(prompts) == 1 and not isinstance(prompts[0], (str, dict)):
        return list(prompts[0])
    return list(prompts)


def _type_name(output: Any) -> Any:
    """A type is given to the host by its name: `int`, `list[str]`."""
    if isinstance(output, type) and not hasattr(output, "__args__"):
        return output.__name__
    if output is None or isinstance(output, (str, dict)):
        return output
    return str(output).replace("typing.", "")


def _fields(
    values: tuple[Any, ...], fields: dict[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    if not values:
        return fields
    if len(values) == 1 and isinstance(values[0], dict) and _names_fields(values[0], names):
        return {**values[0], **fields}
    free = [name for name in names if name not in fields] or ["answer"]
    if len(values) != len(free):
        raise TypeError(f"submit() takes {', '.join(f'{name}=...' for name in names)}")
    return {**{name: values[place] for place, name in enumerate(free)}, **fields}


def _names_fields(value: dict[Any, Any], names: Sequence[str]) -> bool:
    return len(names) > 1 or set(value) == set(names)


def _no_input(prompt: str = "") -> str:
    """There is nobody to ask in a sandbox."""
    raise RuntimeError("input() has nobody to ask here: the inputs are variables, see show_vars()")


def _leave(code: Any = None) -> None:
    """End this cell; the session lives on."""
    raise SystemExit(code)


def _help(thing: Any = None) -> None:
    """Print the documentation of a thing."""
    import pydoc

    if thing is None:
        sys.stdout.write("help(thing) prints its documentation; show_vars() lists the variables\n")
        return
    sys.stdout.write(pydoc.render_doc(thing, renderer=pydoc.plaintext))  # type: ignore[attr-defined]


BUILTINS = {"input": _no_input, "exit": _leave, "quit": _leave, "help": _help}
"""What replaces Python's own: nobody can be asked, and no pager opens."""
