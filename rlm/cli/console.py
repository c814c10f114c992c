"""`rlm console`: Python with `rlm` at hand, to ask and to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm.cli.sandboxes import Settings

if TYPE_CHECKING:
    from rlm.result import Result

__all__ = ["EXAMPLES", "Asking", "console"]

EXAMPLES = """[bold]Examples[/bold]
  rlm console -m gemini/gemini-3.1-pro-preview
  >>> ask("How many words have three vowels in a row?", rlm.File("/usr/share/dict/words"))
  >>> last.cost, last.turns()
"""


def console(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", envvar="RLM_MODEL", help="The root model."),
    ] = None,
    sub_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", envvar="RLM_SUB_MODEL", help="The model of sub-calls."),
    ] = None,
    sandbox: Annotated[
        str, typer.Option("--sandbox", "--env", "-e", metavar="NAME", help="Where code runs.")
    ] = "process",
    options: Settings = None,
    max_iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="Turns of one call.")
    ] = 20,
    log_dir: Annotated[str, typer.Option(metavar="DIR", help="Where logs are written.")] = "logs",
) -> None:
    """Start Python with rlm at hand: ask("…"), ask("…", context), rlm, model, last.

    IPython is used when it is installed.
    """
    import rlm
    from rlm.cli.asking import choose_models, limits_of
    from rlm.cli.sandboxes import chosen, memory_of

    place = chosen(sandbox, options or ())
    defaults = {
        **choose_models(model, sub_model, []),
        "sandbox": place,
        "limits": limits_of(max_iterations=max_iterations, memory_mb=memory_of(place)),
        "log_dir": log_dir,
    }
    names: dict[str, Any] = {"rlm": rlm, "model": model}
    names["ask"] = Asking(defaults, names)
    _interact(names, f'rlm with {model}: ask("question"), ask("question", context), last')


class Asking:
    """`ask(question, context)`: the answer of a run, whose Result is then called `last`."""

    def __init__(self, options: dict[str, Any], names: dict[str, Any]) -> None:
        self._options = options
        self._names = names

    def __call__(self, question: str, context: Any = None, **more: Any) -> Any:
        """Answer a question over a context; `more` is what `rlm.completion` takes."""
        from contextlib import ExitStack

        import rlm
        from rlm.cli.asking import Display

        with ExitStack() as stack:
            sinks = Display().sinks(stack)
            options = {"on_event": sinks, **self._options, **more}
            result: Result[Any] = rlm.completion(question, context=context, **options)
        self._names["last"] = result
        return result.value

    def __repr__(self) -> str:
        return 'ask("question", context=None): answer it with a run; last is then its Result'


def _interact(names: dict[str, Any], banner: str) -> None:
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("IPython") is not None:
        typer.echo(banner, err=True)
        arguments = ["--no-banner", "--no-confirm-exit"]
        import_module("IPython").start_ipython(argv=arguments, user_ns=names)
        return
    import code
    import readline  # noqa: F401 - line editing comes with the import

    code.InteractiveConsole(names).interact(banner=banner, exitmsg="")
