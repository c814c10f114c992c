"""The commands of `rlm`, and the one place where their failures become exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from rlm.cli import cell, console, demo, docker, doctor, exits, models, run, show

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="rlm",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that it does not understand."""

_EXAMPLES = """[bold]Start here[/bold]
  rlm demo                               [dim]# no key and no network needed[/dim]
  export RLM_MODEL=gemini/gemini-3.1-pro-preview GEMINI_API_KEY=…
  rlm run "Who signed, and when?" -c contract.txt
  rlm show logs/                         [dim]# what the newest run did[/dim]

[bold]Exit codes[/bold]
  0 answered · 1 no answer · 2 misuse · 3 needs review · 130 interrupted
"""


def _version(wanted: bool) -> None:
    if wanted:
        from rlm import __version__

        typer.echo(f"rlm {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, epilog=_EXAMPLES)
def rlm(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None:
    """Answer questions over data far larger than a model's window.

    The data is a variable in a sandboxed Python REPL; the model looks at
    it by writing code, and asks other models from there.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(exits.MISUSE)


app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=demo.EXAMPLES)(demo.demo)
app.command(epilog=show.EXAMPLES)(show.show)
app.command(epilog=models.EXAMPLES)(models.models)
app.command()(models.schema)
app.command(epilog=console.EXAMPLES)(console.console)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("exec", epilog=cell.EXAMPLES)(cell.execute)
app.add_typer(docker.app, name="docker")


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every failure is told in a line or two."""
    from rlm.errors import ConfigurationError, RLMError

    _open_all()
    _write_anything()
    try:
        code = app(args=arguments, prog_name="rlm", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else exits.OK
    except UsageError as error:
        return _misused(error)
    except ConfigurationError as error:
        if exits.debugging():
            raise
        exits.complain(str(error))
        return exits.MISUSE
    except (KeyboardInterrupt, typer.Abort):
        exits.complain("interrupted")
        return exits.INTERRUPTED
    except BrokenPipeError:
        return exits.FAILURE  # nobody reads: be quiet
    except (RLMError, OSError) as error:
        if exits.debugging():
            raise
        exits.complain(f"{type(error).__name__}: {error}")
        return exits.FAILURE
    except Exception as error:
        if exits.debugging():
            raise
        exits.complain(
            f"a defect of rlm: {type(error).__name__}: {error}", "RLM_DEBUG=1 shows the traceback"
        )
        return exits.FAILURE
    finally:
        _forget_unwritten()


def _misused(error: Exception) -> int:
    message = error.format_message()  # type: ignore[attr-defined] # of every usage error
    context = error.ctx  # type: ignore[attr-defined] # likewise
    path = context.command_path if context is not None else "rlm"
    exits.complain(message.replace("Value error, ", ""), f"'{path} --help' shows how.")
    return cell.USAGE if path == "rlm exec" else exits.MISUSE


def _forget_unwritten() -> None:
    """Let go of what nobody takes, lest the interpreter tries again as it ends, and exits 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_all() -> None:
    """Have stdin, stdout and stderr lead to nowhere where they were closed, as by `>&-`.

    The next file that is opened would else have such a number, and what is written to it.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(spare, True)
    os.close(spare)
    sys.stdin = sys.stdin or os.fdopen(0, "r", encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _write_anything() -> None:
    """Let text that the terminal's encoding does not have be written escaped, not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
