"""`rlm run`: answer one question over files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rlm.cli.sandboxes import set_option

__all__ = ["EXAMPLES", "run"]

EXAMPLES = r"""[bold]Examples[/bold]
  rlm run "Who signed, and when?" -c contract.txt
  cat server.log | rlm run "What failed first?" -c -
  echo "How many words rhyme with rain?" | rlm run -c /usr/share/dict/words
  rlm run "What differs?" -c old=2023.txt -c new=2024.txt --max-cost 0.50
  rlm run --signature "invoice -> total: float" -c invoice.txt --json
  rlm run "What is the magic number?" -c big.txt -m offline/needle

[bold]Output[/bold]
  The answer goes to stdout. On a terminal a live tree of the calls goes
  to stderr; in a pipe there is nothing but the answer.

[bold]Exit codes[/bold]
  0 answered · 1 no answer · 2 misuse · 3 needs review · 130 interrupted
"""

DATA, MODELS, CODE, LIMITS, SHOWN = "Data", "Models", "Code", "Limits", "Output"

Question = Annotated[
    str | None,
    typer.Argument(
        metavar="QUESTION",
        show_default=False,
        help="What to answer; read from stdin when it is not given.",
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        "-c",
        metavar="FILE",
        rich_help_panel=DATA,
        help="A file to answer from: mounted, never pasted, of any size. May be repeated; "
        "name=FILE names the variable; - is stdin.",
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=VALUE",
        rich_help_panel=DATA,
        help="A small input, converted to the type that the signature gives it.",
    ),
]
SignatureText = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=DATA,
        help="The typed contract, as in 'report, question -> answer: str, pages: list\\[int]'.",
    ),
]
Instructions = Annotated[
    str | None,
    typer.Option(metavar="TEXT", rich_help_panel=DATA, help="What else the model should know."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="RLM_MODEL",
        rich_help_panel=MODELS,
        help="The root model, as in gemini/gemini-3.1-pro-preview; 'rlm models' lists names.",
    ),
]
SubModelName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        envvar="RLM_SUB_MODEL",
        rich_help_panel=MODELS,
        help="The model of sub-calls; the root's when not given.",
    ),
]
Allowed = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-model",
        metavar="NAME",
        rich_help_panel=MODELS,
        help="A further model that cells may ask by name. May be repeated.",
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        rich_help_panel=MODELS,
        help="The server of the root model, and of others with its prefix: with openai/NAME any "
        "OpenAI-compatible one.",
    ),
]
Thinking = Annotated[
    Literal["low", "medium", "high"] | None,
    typer.Option(rich_help_panel=MODELS, help="How much the root model thinks before a reply."),
]
Temperature = Annotated[
    float | None,
    typer.Option(metavar="T", min=0, rich_help_panel=MODELS, help="Of the root model."),
]
Prices = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="NAME=IN/OUT",
        rich_help_panel=MODELS,
        help="Dollars per million input and output tokens of a model. May be repeated.",
    ),
]
Dialect = Annotated[
    Literal["fence", "json", "tags"],
    typer.Option(rich_help_panel=MODELS, help="The spelling of actions that the prompt teaches."),
]
SandboxName = Annotated[
    str,
    typer.Option(
        "--sandbox",
        "--env",
        "-e",
        metavar="NAME",
        rich_help_panel=CODE,
        help="Where generated code runs: process (confined by the operating system), docker (in a "
        "container), 'command: WORDS' (behind a command such as ssh HOST), local (no wall: trusted "
        "prompts only), or one that a package adds.",
    ),
]
Network = Annotated[
    bool,
    typer.Option(
        "--network",
        "--allow-network",
        rich_help_panel=CODE,
        help="Give the code a network: that of this machine, or the container engine's.",
    ),
]
KeepAlive = Annotated[
    bool,
    typer.Option(
        "--keep-alive",
        rich_help_panel=CODE,
        help="Leave the container when the run has ended, and say its id; with --sandbox docker.",
    ),
]
ReuseContainer = Annotated[
    str | None,
    typer.Option(
        "--reuse-container",
        "--reuse-container-id",
        metavar="ID",
        rich_help_panel=CODE,
        help="Run in a container that --keep-alive has left; 'rlm docker ls' lists them.",
    ),
]
SandboxOptions = Annotated[list[str] | None, set_option(CODE)]
CellSeconds = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        rich_help_panel=CODE,
        help="Time of one cell, without what it waits for models. [dim]\\[default: 60][/dim]",
    ),
]


def _limit(
    help: str, *names: str, metavar: str = "N", default: int | None = None
) -> typer.models.OptionInfo:
    said = f"{help} [dim]\\[default: {default}][/dim]" if default is not None else help
    option: typer.models.OptionInfo = typer.Option(
        *names, metavar=metavar, rich_help_panel=LIMITS, help=said
    )
    return option


MaxIterations = Annotated[int | None, _limit("Turns of one call.", default=30)]
MaxDepth = Annotated[int | None, _limit("Levels of models below the root.", default=2)]
MaxLlmCalls = Annotated[int | None, _limit("Requests to models, in all.")]
MaxSubCalls = Annotated[int | None, _limit("Sub-calls, in all.")]
MaxTokens = Annotated[int | None, _limit("Input and output tokens, in all.")]
MaxCost = Annotated[str | None, _limit("Dollars, in all.", "--max-cost", metavar="USD")]
MaxSeconds = Annotated[float | None, _limit("Active time of the run.", metavar="SECONDS")]
MaxConcurrency = Annotated[int | None, _limit("Requests to models at the same time.", default=16)]
MaxOutputTokens = Annotated[int | None, _limit("Tokens of one reply.", default=8192)]
OnExceeded = Annotated[
    Literal["finalize", "needs_review", "return_partial", "fail"] | None,
    typer.Option(
        rich_help_panel=LIMITS,
        help="At a limit: one last request for an answer (finalize, the default), keep what was "
        "submitted for a person (needs_review), only if it is valid (return_partial), or fail.",
    ),
]
LogDir = Annotated[
    str,
    typer.Option(metavar="DIR", rich_help_panel=SHOWN, help="Where the run's log is written."),
]
NoLog = Annotated[bool, typer.Option("--no-log", rich_help_panel=SHOWN, help="Keep no log.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TEXT", rich_help_panel=SHOWN, help="A word kept in the log."),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=SHOWN, help="Print the whole result as JSON."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", rich_help_panel=SHOWN, help="Print each turn to stderr."),
]
Stream = Annotated[
    bool,
    typer.Option("--stream", rich_help_panel=SHOWN, help="Print the root's text as it comes."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=SHOWN, help="Print the answer and errors only."),
]


def run(
    question: Question = None,
    context: Files = None,
    input: Values = None,
    signature: SignatureText = None,
    instructions: Instructions = None,
    model: ModelName = None,
    sub_model: SubModelName = None,
    allow_model: Allowed = None,
    base_url: BaseUrl = None,
    thinking: Thinking = None,
    temperature: Temperature = None,
    price: Prices = None,
    dialect: Dialect = "fence",
    sandbox: SandboxName = "process",
    options: SandboxOptions = None,
    network: Network = False,
    keep_alive: KeepAlive = False,
    reuse_container: ReuseContainer = None,
    timeout: CellSeconds = None,
    max_iterations: MaxIterations = None,
    max_depth: MaxDepth = None,
    max_llm_calls: MaxLlmCalls = None,
    max_sub_calls: MaxSubCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_seconds: MaxSeconds = None,
    max_concurrency: MaxConcurrency = None,
    max_output_tokens: MaxOutputTokens = None,
    on_exceeded: OnExceeded = None,
    log_dir: LogDir = "logs",
    no_log: NoLog = False,
    tag: Tags = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    stream: Stream = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question over files, however large.

    The files are variables in a sandboxed Python REPL. The model reads them
    by writing code, and asks sub-models from there; the limits below bound
    what that may cost.
    """
    from rlm.cli.asking import Display, ask, choose_models, limits_of
    from rlm.cli.inputs import read_task
    from rlm.cli.sandboxes import chosen, memory_of

    asked = {"network": network, "keep_alive": keep_alive, "reuse_container": reuse_container}
    settings = [f"{name}={value}" for name, value in asked.items() if value]
    place = chosen(sandbox, [*(options or ()), *settings])
    limits = limits_of(
        cell_seconds=timeout,
        memory_mb=memory_of(place),
        max_iterations=max_iterations,
        max_depth=max_depth,
        max_llm_calls=max_llm_calls,
        max_sub_calls=max_sub_calls,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_seconds=max_seconds,
        max_concurrency=max_concurrency,
        max_output_tokens=max_output_tokens,
        on_exceeded=on_exceeded,
    )
    models = choose_models(
        model,
        sub_model,
        allow_model or [],
        prices=price or [],
        base_url=base_url,
        thinking=thinking,
        temperature=temperature,
    )
    task = read_task(question, context or [], input or [], signature, instructions)
    display = Display(verbose=verbose, stream=stream, quiet=quiet, as_json=as_json)
    code = ask(
        task,
        display,
        log_dir=None if no_log else log_dir,
        limits=limits,
        sandbox=place,
        dialect=dialect,
        tags=tuple(tag or ()),
        **models,
    )
    raise typer.Exit(code)
