"""The host's side of one place, whole but for the bytes: those come from whoever tests it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from fuzz.grammar import FUNCTIONS, NAMES
from rlm.errors import SandboxError, ToolError
from rlm.guest.wire import VERSION, Frames, WireError, pack
from rlm.sandbox._channel import Cutter, Line, OnFrame, OnLost
from rlm.sandbox._inputs import VariableBlobs
from rlm.sandbox._live import Live
from rlm.sandbox._zygote import Life, Zygote
from rlm.sandbox.base import CellError, CellLimits, Execution, Variable

__all__ = ["STATES", "Host", "Memory", "State", "Table", "Tripwire", "sound"]

LIMITS = CellLimits(seconds=None, memory_mb=None, output_bytes=2000)

Function = Callable[..., Awaitable[Any]]
State = Literal["binding", "idle", "running", "calling", "done", "lost"]
STATES: tuple[State, ...] = ("running", "calling", "idle", "done", "binding", "lost")


class Tripwire:
    """An object of the host that a guest may name, and whose attributes nothing may ask for."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":  # isinstance asks for it
            return Tripwire
        raise AssertionError(f"the attribute {name!r} of a host's object was reached")


class Table(Mapping[str, Function]):
    """The Bridge of a test: it counts calls and fails when asked for anything but a function."""

    def __init__(self) -> None:
        self.calls = 0
        self._never = asyncio.get_running_loop().create_future()
        self._functions: dict[str, Function] = {
            name: getattr(self, f"_{name}") for name in FUNCTIONS
        }

    def __getitem__(self, name: str) -> Function:
        assert type(name) is str
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(FUNCTIONS)

    def __len__(self) -> int:
        return len(FUNCTIONS)

    async def _echo(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return [list(args), kwargs]

    async def _slow(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        await asyncio.shield(self._never)

    async def _broken(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        raise KeyError("broken")

    async def _refused(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        raise ToolError("refused")

    async def _large(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return "x" * 100_000


class Memory(Line):
    """A line whose other side is the test; `sent` are the messages for the guest."""

    def __init__(self, on_frame: OnFrame, on_lost: OnLost, frames: Cutter | None = None) -> None:
        super().__init__(on_frame, on_lost, frames or Frames())
        self.sent: list[dict[str, Any]] = []

    @property
    def open(self) -> bool:
        """Whether the host still listens."""
        return self._open

    def send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        if self._open:
            pack(message, blobs)
            self.sent.append(message)

    async def drained(self) -> None:
        return

    def close(self) -> None:
        self._open = False


class Paper(Zygote):
    """A zygote that is obedient and has no processes; `control` is what it may say more."""

    def __init__(self) -> None:
        super().__init__({"memory_mb": LIMITS.memory_mb})
        self.alive = True
        self.born: list[Life] = []
        self.control = Memory(self._on_frame, lambda reason: self._bury())

    async def open(self, on_frame: OnFrame, on_lost: OnLost, fds: Sequence[int]) -> Life:
        life = self._born(Memory(on_frame, on_lost, Frames(self.bounds)))
        self.born.append(life)
        return life

    async def close(self) -> None:
        self.control.close()
        self._bury()

    async def _start(self, inputs: Mapping[str, Any]) -> None:
        return

    def _started(self) -> None:
        return

    def _tell(self, message: dict[str, Any]) -> None:
        if message["t"] == "close":
            gone = {"t": "gone", "id": message["id"], "code": -9}
            asyncio.get_running_loop().call_soon(self._say, gone)

    def _say(self, message: dict[str, Any]) -> None:
        if message["id"] in self._lives:
            self.control.take(b"".join(pack(message)))

    def _end_by_force(self) -> None:
        self._bury()

    def keeps_its_lives(self) -> bool:
        """Whether each session is among the living, or is known to be gone."""
        living = self._lives.values()
        return all(life.gone.done() or life in living for life in self.born)


class Host:
    """One place with a bystander, whose cell runs on while other sessions are attacked."""

    def __init__(self) -> None:
        self.frames = 0
        self._zygote = Paper()
        self._table = Table()
        self._names = {name: Tripwire() for name in NAMES}
        self._errors: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self._errors.append(context))

    async def __aenter__(self) -> Host:
        self._other, self._other_line = await self._bound()
        self._cell = asyncio.ensure_future(self._other.run("1"))
        await asyncio.sleep(0)
        self._tasks = _others()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if exc[0] is None:
            self._check()
            self._other_line.take(_done(1, "the bystander's"))
            assert (await self._cell).value == "the bystander's"
        self._cell.cancel()
        await asyncio.gather(self._cell, return_exceptions=True)
        await self._other.close()
        await self._zygote.close()

    async def attack(self, state: State, pieces: Sequence[bytes]) -> Execution | None:
        """Let these pieces arrive while a new session is in this state; return what its cell did.

        What holds afterwards, whatever arrived: the host goes on, no task has died unseen, each
        call was made once at most, the cell is over or can be ended, and the bystander still runs.
        """
        calls = _calls([*pieces, _done(1, "its own")])
        self._table.calls = 0
        if state == "binding":
            await self._attack_at_start(pieces)
            self._check()
            return None
        live, line = await self._bound()
        cell, extra = await self._into(state, live, line)
        for piece in pieces:
            line.take(piece)
        for _ in range(4):
            await asyncio.sleep(0)
        done = None
        if cell is not None:
            if not cell.done() and not live.lost:
                line.take(_done(1, "its own"))
                await asyncio.sleep(0)
                line.lose("")  # a frame without an end keeps it waiting, until its process ends
            done = await cell
            sound(done)
        await live.close()
        made = self._table.calls - extra
        assert made <= calls, f"{calls} calls were sent and {made} made"
        self._check()
        return done

    async def hear_zygote(self, pieces: Sequence[bytes]) -> None:
        """Let these pieces arrive from a zygote with three sessions that waits to be ready.

        Whatever it said, each of its sessions is still alive or known to be gone, and can be ended.
        """
        zygote = Paper()
        lives = [await zygote.open(_ignore, _ignore, ()) for _ in range(3)]
        interrupting = asyncio.ensure_future(zygote.interrupt(lives[0]))
        await asyncio.sleep(0)
        for piece in pieces:
            zygote.control.take(piece)
        assert zygote.keeps_its_lives(), "a session is neither alive nor gone"
        if zygote.control.open:
            zygote.control.lose("")
        await interrupting
        for life in lives:
            code = await zygote.kill(life)
            assert code is None or type(code) is int
        self._check()

    async def _attack_at_start(self, pieces: Sequence[bytes]) -> None:
        live = self._live()
        binding = asyncio.ensure_future(live.bind({"t": "bind"}, VariableBlobs()))
        await asyncio.sleep(0)
        line = self._zygote.born[-1].line
        assert isinstance(line, Memory)
        for piece in pieces:
            line.take(piece)
        await asyncio.sleep(0)
        if not binding.done() and line.open:
            line.take(_ready())
            await asyncio.sleep(0)
            line.lose("")
        try:
            await binding
        except SandboxError as error:
            assert str(error)
        await live.close()

    async def _into(
        self, state: State, live: Live, line: Memory
    ) -> tuple[asyncio.Future[Execution] | None, int]:
        """Bring a session into a state; return its cell and how many calls that has made."""
        if state == "idle":
            return None, 0
        cell = asyncio.ensure_future(live.run("1"))
        await asyncio.sleep(0)
        if state == "done":
            line.take(_done(1, "1"))
            await cell
            return None, 0
        if state == "lost":
            line.lose("it went")
            return cell, 0
        if state == "calling":
            line.take(_call(100, "slow") + _call(101, "slow"))
            await asyncio.sleep(0)
            return cell, 2
        return cell, 0

    def _live(self) -> Live:
        return Live(self._zygote, self._table, self._names, LIMITS, None)

    async def _bound(self) -> tuple[Live, Memory]:
        if len(self._zygote.born) > 1:
            del self._zygote.born[1:]
        live = self._live()
        binding = asyncio.ensure_future(live.bind({"t": "bind"}, VariableBlobs()))
        await asyncio.sleep(0)
        line = self._zygote.born[-1].line
        assert isinstance(line, Memory)
        line.take(_ready())
        await binding
        return live, line

    def _check(self) -> None:
        assert not self._errors, f"the event loop was told of {self._errors[0]}"
        assert not self._cell.done(), "another session's cell was ended"
        assert not self._other.lost
        assert _others() <= self._tasks, "a task was left behind"


def _others() -> set[asyncio.Task[Any]]:
    """Return the tasks beside this one."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


def _ignore(said: Any) -> None:
    """Take what arrives, or why nothing does any more."""


def sound(done: Any) -> None:
    """Check that this is an Execution, of the types and within the bounds that it promises."""
    assert type(done) is Execution
    most = LIMITS.output_bytes + 200
    for text in (done.stdout, done.stderr, done.value or ""):
        assert type(text) is str
        assert len(text) <= most
    for count in (done.stdout_chars, done.stderr_chars):
        assert type(count) is int
        assert count >= 0
    assert len(done.variables) <= 1000
    assert len(done.images) <= 8
    assert all(type(name) is str and len(name) <= 500 for name in done.files)
    for variable in done.variables:
        assert type(variable) is Variable
        assert len(variable.name + variable.type + variable.preview) <= 2000
    if done.error is not None:
        assert type(done.error) is CellError
        assert len(done.error.message) <= 10_000
        assert len(done.error.traceback) <= 40_000
        assert done.error.kind in ("error", "syntax", "timeout", "lost")


def _calls(pieces: Sequence[bytes]) -> int:
    """Count the calls among frames."""
    frames, found = Frames(), 0
    try:
        for piece in pieces:
            found += sum(message["t"] == "call" for message, _ in frames.feed(piece))
    except WireError:
        # what the host took of this piece it took before it saw the fault
        return found
    return found


def _ready() -> bytes:
    return b"".join(pack({"t": "ready", "version": VERSION}))


def _call(number: int, name: str) -> bytes:
    message = {"t": "call", "id": number, "name": name, "args": [], "kwargs": {}}
    return b"".join(pack(message))


def _done(number: int, value: str) -> bytes:
    message: dict[str, Any] = {"t": "done", "n": number, "stdout": "", "stderr": ""}
    message |= {"stdout_chars": 0, "stderr_chars": 0, "value": value, "error": None}
    return b"".join(pack({**message, "variables": [], "files": []}))
