"""The facts of a run: one frozen model for each type of event, and the union of them all.

Each line of a log is one event as JSON. The envelope comes first on the line, in this order: `v`
(schema version), `run`, `call` (`""` for the run itself), `seq` (dense), `at` (UTC), `type`; then
`t`, seconds on the monotonic clock since the run started.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, TypeAdapter

from rlm.usage import Usage

__all__ = [
    "EVENT_TYPES",
    "SCHEMA_VERSION",
    "ActionParsed",
    "ActionRefused",
    "AnyEvent",
    "BridgeCalled",
    "BridgeReturned",
    "CallFailed",
    "CallFinished",
    "CallStarted",
    "CellStarted",
    "CodeChecked",
    "CodeExecuted",
    "Delta",
    "ErrorFact",
    "Event",
    "FileRead",
    "ImageFact",
    "InputFact",
    "InputStored",
    "LimitReached",
    "Logged",
    "MessageAdded",
    "ModelAsked",
    "ModelFact",
    "ModelLost",
    "ModelReplied",
    "ModelRetried",
    "OutputRefused",
    "OutputSubmitted",
    "RunFinished",
    "RunStarted",
    "SessionLost",
    "SessionOpened",
    "Status",
    "ToolCalled",
    "ToolFact",
    "ToolReturned",
    "UnknownEvent",
    "VariableFact",
    "json_schema",
    "read_event",
]

SCHEMA_VERSION = 1

Status = Literal[
    "completed",
    "needs_review",
    "failed_validation",
    "budget_exceeded",
    "sandbox_error",
    "tool_error",
    "provider_error",
    "no_progress",
    "aborted",
    "parked",
]
"""What the caller has when a run has ended."""


class _Fact(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class ErrorFact(_Fact):
    """An error as plain values: the name of its class, its message, its other fields."""

    type: str
    message: str
    details: dict[str, Any] = {}


class InputFact(_Fact):
    """An input, described: never the value itself unless it is small.

    `length` counts `unit`; `head` and `tail` are excerpts. `value` holds small values as JSON;
    a larger one is found by `sha256` among the log's blobs or, for a file, by `path`.
    """

    name: str
    type: str
    length: int | None = None
    unit: str = ""
    tokens: int | None = None
    shape: str = ""
    head: str = ""
    tail: str = ""
    content_type: str = ""
    path: str = ""
    sha256: str = ""
    value: Any = None


class ModelFact(_Fact):
    """A model of the run: its name, what it is for, dollars a million tokens, its window."""

    name: str
    role: Literal["root", "sub", "allowed"]
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    window: int | None = None
    window_known: bool = True


class ToolFact(_Fact):
    """A tool of the run, as the cells see it."""

    name: str
    category: str
    signature: str
    description: str = ""
    arguments: dict[str, Any] = {}


class VariableFact(_Fact):
    """A variable that a cell made or changed."""

    name: str
    type: str
    length: int | None = None
    preview: str = ""


class ImageFact(_Fact):
    """A picture that a cell showed: format, sides in pixels, and its bytes in base64."""

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    base64: str

    @property
    def content(self) -> bytes:
        """Its bytes, as a file would have them."""
        return b64decode(self.base64)


class Event(_Fact):
    """The envelope of every event."""

    v: int = SCHEMA_VERSION
    run: str
    call: str
    seq: int
    at: datetime
    type: str
    t: float


class RunStarted(Event):
    """A run begins: everything that is the same for its whole tree.

    What is asked of which inputs is told by the `call_started` of the root, as of any call.
    """

    type: Literal["run_started"]
    version: str
    """The version of rlm."""
    python: str
    task: str
    models: tuple[ModelFact, ...] = ()
    sandbox: str = ""
    limits: dict[str, Any] = {}
    seed: int = 0
    dialect: str = "fence"
    tools: tuple[ToolFact, ...] = ()
    validators: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class InputStored(Event):
    """A large input is now kept with the log under its hash; the run can be replayed without it."""

    type: Literal["input_stored"]
    name: str
    sha256: str
    size: int
    path: str = ""


class CallStarted(Event):
    """A node of the recursion tree begins; `parent` is `""` for the root.

    `route` says how it answers: by turns in a REPL of its own, or by one plain completion.
    """

    type: Literal["call_started"]
    parent: str
    route: Literal["repl", "completion"]
    model: str
    depth: int
    task: str = ""
    signature: dict[str, Any] | None = None
    inputs: tuple[InputFact, ...] = ()
    cell: int | None = None
    sample: int = 0


class SessionOpened(Event):
    """A call has a namespace in the sandbox."""

    type: Literal["session_opened"]
    seed: int
    variables: tuple[str, ...] = ()
    confinement: dict[str, Any] = {}
    """What confines its code and what is missing; told for the root."""
    seconds: float = 0


class SessionLost(Event):
    """The namespace of a call is gone with its variables; the next cell gets a fresh one."""

    type: Literal["session_lost"]
    cell: int
    reason: str


class MessageAdded(Event):
    """A message joins the transcript of its call.

    A reply of the model is not written again: `ask` names the model_replied that holds it.
    """

    type: Literal["message_added"]
    index: int
    role: Literal["system", "user", "assistant"]
    about: Literal["opening", "reply", "observation", "repair", "notice", "last_request", "prompt"]
    content: str | None = None
    ask: int | None = None


class ModelAsked(Event):
    """A request is on its way; `messages` are ranges `[from, to)` of the call's transcript."""

    type: Literal["model_asked"]
    ask: int
    model: str
    purpose: Literal["turn", "query", "last"]
    messages: tuple[tuple[int, int], ...]
    notice: str = ""
    """What was said after the transcript, only this once: what is left of the budget."""
    max_output_tokens: int = 0
    parameters: dict[str, Any] = {}
    held_tokens: int = 0
    held_cost: Decimal | None = None
    key: str = ""
    """The hash of everything that decides the reply."""


class ModelRetried(Event):
    """An attempt failed and is tried again after `wait` seconds, perhaps with another model."""

    type: Literal["model_retried"]
    ask: int
    model: str
    error: ErrorFact
    wait: float
    next_model: str = ""
    cost: Decimal | None = None
    """What the failed attempt may be billed, kept as spent; zero when it cannot be."""
    usage: Usage = Usage()


class ModelReplied(Event):
    """A model answered."""

    type: Literal["model_replied"]
    ask: int
    model: str
    text: str
    reasoning: str = ""
    usage: Usage
    estimated: bool = False
    """Whether the provider did not say what was used, so that the estimate counts."""
    cost: Decimal | None = None
    cached: bool = False
    finish: Literal["stop", "length"] = "stop"
    seconds: float = 0


class ModelLost(Event):
    """A request ended without a reply; what it may be billed stays spent."""

    type: Literal["model_lost"]
    ask: int
    model: str
    error: ErrorFact
    cost: Decimal | None = None
    usage: Usage = Usage()


class ActionParsed(Event):
    """A reply asks for something that can be done; `skipped` further actions were not looked at."""

    type: Literal["action_parsed"]
    turn: int
    kind: Literal["exec", "final"]
    dialect: str
    skipped: int = 0


class ActionRefused(Event):
    """A reply cannot be carried out; `problem` is what the model is told."""

    type: Literal["action_refused"]
    turn: int
    problem: str


class CodeChecked(Event):
    """A cell was read before it ran: a syntax error means it does not run, warnings only warn."""

    type: Literal["code_checked"]
    turn: int
    cell: int
    problem: str | None = None
    warnings: tuple[str, ...] = ()


class CellStarted(Event):
    """A cell begins to run."""

    type: Literal["cell_started"]
    turn: int
    cell: int
    code: str


class CodeExecuted(Event):
    """A cell ran; the fields are those of an Execution."""

    type: Literal["code_executed"]
    turn: int
    cell: int
    stdout: str = ""
    stderr: str = ""
    stdout_chars: int = 0
    stderr_chars: int = 0
    value: str | None = None
    error: ErrorFact | None = None
    variables: tuple[VariableFact, ...] = ()
    images: tuple[ImageFact, ...] = ()
    seconds: float = 0


class BridgeCalled(Event):
    """A cell calls a host function; `key` is the hash of its canonical request."""

    type: Literal["bridge_called"]
    bridge: int
    cell: int
    function: str
    key: str = ""


class BridgeReturned(Event):
    """A host function returned to its cell, by the calls it made or with a value of its own."""

    type: Literal["bridge_returned"]
    bridge: int
    calls: tuple[str, ...] = ()
    value: Any = None
    error: ErrorFact | None = None


class FileRead(Event):
    """A cell read an input file for the first time in its session."""

    type: Literal["file_read"]
    cell: int
    name: str
    size: int


class ToolCalled(Event):
    """A cell calls a tool."""

    type: Literal["tool_called"]
    bridge: int
    tool: str
    category: str
    arguments: dict[str, Any]


class ToolReturned(Event):
    """A tool returned, or failed."""

    type: Literal["tool_returned"]
    bridge: int
    tool: str
    value: Any = None
    error: ErrorFact | None = None
    seconds: float = 0


class OutputSubmitted(Event):
    """An output was offered and satisfies the signature."""

    type: Literal["output_submitted"]
    turn: int
    output: dict[str, Any]
    source: Literal["submit", "final"]


class OutputRefused(Event):
    """An output was offered and does not satisfy the signature."""

    type: Literal["output_refused"]
    turn: int
    problems: tuple[str, ...]
    source: Literal["submit", "final"]


class LimitReached(Event):
    """A limit stopped something: `scope` says whether one request was refused or the call ends."""

    type: Literal["limit_reached"]
    limit: str
    used: Decimal
    cap: Decimal
    scope: Literal["request", "call"] = "call"


class Logged(Event):
    """A cell, a tool or the runtime noted something."""

    type: Literal["logged"]
    message: str
    level: Literal["info", "warning"] = "info"


class CallFinished(Event):
    """A node of the tree has its output."""

    type: Literal["call_finished"]
    output: dict[str, Any]
    iterations: int
    forced: bool = False
    ended_by: str = ""


class CallFailed(Event):
    """A node of the tree ended without an output; `submitted` is what was valid before."""

    type: Literal["call_failed"]
    error: ErrorFact
    iterations: int
    ended_by: str = ""
    submitted: dict[str, Any] | None = None


class RunFinished(Event):
    """The run has ended."""

    type: Literal["run_finished"]
    status: Status
    ended_by: str
    error: ErrorFact | None = None


class UnknownEvent(Event):
    """An event of a later version: kept and shown, not understood."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply or of a cell's output as it comes: live only, never in the log."""

    call: str
    kind: Literal["text", "reasoning", "stdout", "stderr"]
    text: str


def _types() -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for kind in Event.__subclasses__():
        if kind is not UnknownEvent:
            (name,) = kind.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
            found[name] = kind
    return found


EVENT_TYPES: dict[str, type[Event]] = _types()
"""Every type of event by the word in its `type` field."""


def _tag(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else value.type
    return kind if kind in EVENT_TYPES else "unknown"


AnyEvent = Annotated[
    Annotated[RunStarted, Tag("run_started")]
    | Annotated[InputStored, Tag("input_stored")]
    | Annotated[CallStarted, Tag("call_started")]
    | Annotated[SessionOpened, Tag("session_opened")]
    | Annotated[SessionLost, Tag("session_lost")]
    | Annotated[MessageAdded, Tag("message_added")]
    | Annotated[ModelAsked, Tag("model_asked")]
    | Annotated[ModelRetried, Tag("model_retried")]
    | Annotated[ModelReplied, Tag("model_replied")]
    | Annotated[ModelLost, Tag("model_lost")]
    | Annotated[ActionParsed, Tag("action_parsed")]
    | Annotated[ActionRefused, Tag("action_refused")]
    | Annotated[CodeChecked, Tag("code_checked")]
    | Annotated[CellStarted, Tag("cell_started")]
    | Annotated[CodeExecuted, Tag("code_executed")]
    | Annotated[BridgeCalled, Tag("bridge_called")]
    | Annotated[BridgeReturned, Tag("bridge_returned")]
    | Annotated[FileRead, Tag("file_read")]
    | Annotated[ToolCalled, Tag("tool_called")]
    | Annotated[ToolReturned, Tag("tool_returned")]
    | Annotated[OutputSubmitted, Tag("output_submitted")]
    | Annotated[OutputRefused, Tag("output_refused")]
    | Annotated[LimitReached, Tag("limit_reached")]
    | Annotated[Logged, Tag("logged")]
    | Annotated[CallFinished, Tag("call_finished")]
    | Annotated[CallFailed, Tag("call_failed")]
    | Annotated[RunFinished, Tag("run_finished")]
    | Annotated[UnknownEvent, Tag("unknown")],
    Discriminator(_tag),
]
"""The discriminated union of all events."""


def read_event(fields: dict[str, Any]) -> Event:
    """Return the event that a line's fields describe; one of an unknown type is kept as it is."""
    return EVENT_TYPES.get(fields.get("type", ""), UnknownEvent).model_validate(fields)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a log."""
    schema: dict[str, Any] = TypeAdapter(AnyEvent).json_schema(mode="serialization")
    unknown = schema["$defs"]["UnknownEvent"]["properties"]["type"]
    unknown["not"] = {"enum": list(EVENT_TYPES)}  # else a known line would be two things
    return {"title": "One line of an rlm log", **schema}
