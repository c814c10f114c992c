"""What can be told of a cell without running it: syntax errors, and calls that deserve a look.

The warnings are advice to the model and to whoever reads the log. They are no wall: code that
means to hide a call can hide it, and the sandbox is what confines it.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import NoneType

__all__ = ["CodeCheck", "SyntaxProblem", "check"]

_LONGEST = 1_000_000
"""Characters of a cell: the tree of so many may take hundreds of megabytes."""
_MAX_WARNINGS = 20
_WIDTH = 160
"""Characters that are shown of a line with a syntax error."""


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Why a cell cannot be run: a sentence, the line (from 1), its text, and a caret below it."""

    message: str
    line: int
    source: str = ""
    pointer: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}: {self.message}"
        return f"{place}\n  {self.source}\n  {self.pointer}" if self.source else place


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """What a cell is before it runs: its tree or why it has none, and its warnings."""

    tree: ast.Module | None
    syntax: SyntaxProblem | None = None
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the cell can be run."""
        return self.syntax is None


def check(code: str) -> CodeCheck:
    """Parse a cell, with `await` allowed at its top, and name its dangerous calls with their line.

    Nothing is run and nothing is raised. The grammar is that of the Python that this runs on.
    """
    if len(code) > _LONGEST:
        size = f"the code has {len(code):,} characters, and {_LONGEST:,} are the most"
        return CodeCheck(None, SyntaxProblem(size, 1))
    try:
        tree = _parsed(code)
        seen = _Seen()
        seen.look(tree)
        if seen.misplaceable:  # such as `return` outside of a function: the compiler knows
            _compiled(tree)
        said = tuple(_warnings(seen))
    except SyntaxError as error:
        return CodeCheck(None, _problem(error, code))
    except (RecursionError, MemoryError):
        return CodeCheck(None, SyntaxProblem("the code is nested too deeply to be read", 1))
    except ValueError as error:
        return CodeCheck(None, _not_text(error, code))
    return CodeCheck(tree, None, said)


# `catch_warnings` changes the whole process; two of ours must not interleave.
_one_at_a_time = threading.Lock()


def _parsed(code: str) -> ast.Module:
    if "\\" not in code:
        return ast.parse(code)
    # "\d" in a plain string is a warning on the host's stderr, or an error under -W error
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _compiled(tree: ast.Module) -> None:
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _problem(error: SyntaxError, code: str) -> SyntaxProblem:
    if error.lineno is None:  # null bytes have no place
        return _not_text(error, code)
    lines = code.split("\n")
    row = min(max(error.lineno, 1), len(lines))
    text = lines[row - 1].rstrip("\r").expandtabs(1)
    column = min(max((error.offset or 1) - 1, 0), len(text))
    start = max(0, column - _WIDTH // 2)
    return SyntaxProblem(error.msg, row, text[start : start + _WIDTH], " " * (column - start) + "^")


def _not_text(error: Exception, code: str) -> SyntaxProblem:
    found = re.search("[\0\ud800-\udfff]", code)
    line = code.count("\n", 0, found.start()) + 1 if found else 1
    if found:
        return SyntaxProblem(f"the code holds {found[0]!a}, which is no text", line)
    return SyntaxProblem(str(error), line)


def _warnings(seen: _Seen) -> Iterator[str]:
    found = sorted(set(seen.dangers()))
    for line, name, effect in found[:_MAX_WARNINGS]:
        yield f"line {line}: {name}() {effect}"
    if len(found) > _MAX_WARNINGS:
        yield f"and {len(found) - _MAX_WARNINGS} more such calls"


_DELETES = "deletes files"
_WRITES = "writes a file"
_ENDINGS = ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")


def _table(effects: dict[str, str]) -> dict[str, str]:
    return {name: effect for effect, names in effects.items() for name in names.split()}


_CALLS = _table(
    {
        "starts a program": "os.system os.popen os.startfile os.posix_spawn os.posix_spawnp "
        "pty.spawn asyncio.create_subprocess_exec asyncio.create_subprocess_shell subprocess.run "
        "subprocess.Popen subprocess.call subprocess.check_call subprocess.check_output "
        "subprocess.getoutput subprocess.getstatusoutput "
        + " ".join(f"os.exec{end} os.spawn{end}" for end in _ENDINGS),
        "starts a process": "os.fork os.forkpty pty.fork multiprocessing.Process "
        "multiprocessing.Pool multiprocessing.pool.Pool multiprocessing.Manager "
        "concurrent.futures.ProcessPoolExecutor",
        "stops or signals processes": "os.kill os.killpg signal.raise_signal",
        "changes how signals are handled": "signal.signal signal.alarm signal.setitimer",
        _DELETES: "os.remove os.unlink os.rmdir os.removedirs os.truncate shutil.rmtree",
        "moves or replaces files": "os.rename os.renames os.replace shutil.move",
        "changes who may use a file": "os.chmod os.chown os.lchown shutil.chown",
        "runs text as code": "eval exec compile runpy.run_path runpy.run_module",
        "imports a module by name": "__import__ importlib.import_module importlib.reload",
        "ends the session": "exit quit sys.exit os._exit os.abort SystemExit",
        "opens a network connection": "socket.socket socket.create_connection socket.socketpair "
        "socket.create_server urllib.request.urlopen urllib.request.urlretrieve "
        "http.client.HTTPConnection http.client.HTTPSConnection",
        "may run any code that the data holds": "pickle.load pickle.loads pickle.Unpickler "
        "marshal.load marshal.loads shelve.open pandas.read_pickle",
    }
)
_ROOTS = {name.rpartition(".")[0] for name in _CALLS} - {""}
_MEMORY = "reaches memory outside of Python"
_METHODS = {
    "unlink": _DELETES,
    "rmdir": _DELETES,
    "write_text": _WRITES,
    "write_bytes": _WRITES,
}
"""Methods whose names belong to paths alone, so that the type of the object need not be known."""
_OPENERS = {"open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"}
_WRITING = re.compile(r"[rbtU]*[wax+][rbtwax+]*")
_BUILTINS = {"__builtins__", "builtins"}
_LOOKUPS = {"__import__", "importlib.import_module"}
_LEAVES = {ast.Constant, str, NoneType}
"""What stands in lists beside nodes: names as text, and gaps, as in `{**a}`."""
_INNER = (ast.expr, ast.arguments, ast.pattern)
"""What a node holds singly; all else that matters stands in lists."""
_MISPLACEABLE = {ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom, ast.Nonlocal}
_NOTED = {ast.Import, ast.ImportFrom, ast.Assign, ast.arg, *_MISPLACEABLE}
_NOTED |= {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef}


@dataclass(slots=True)
class _Seen:
    """What one walk over a tree met."""

    calls: list[ast.Call] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    assigned: list[tuple[str, ast.expr]] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    misplaceable: bool = False

    def look(self, tree: ast.Module) -> None:
        """Walk the tree once."""
        stack: list[ast.AST] = [tree]
        while stack:
            node = stack.pop()
            kind = type(node)
            if kind in _LEAVES:
                continue
            if isinstance(node, ast.Name):
                if type(node.ctx) is ast.Store:
                    self.bound.add(node.id)
                continue
            if isinstance(node, ast.Call):
                self.calls.append(node)
            elif kind in _NOTED:
                self._note(node)
            for value in node.__dict__.values():
                if type(value) is list:
                    stack += value
                elif isinstance(value, _INNER):
                    stack.append(value)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Import():
                for name in node.names:
                    self.aliases[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
            case ast.ImportFrom(module=str(module)):
                for name in node.names:
                    self.aliases[name.asname or name.name] = f"{module}.{name.name}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.assigned.append((name, value))
            case ast.arg(arg=name):
                self.bound.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.bound.add(node.name)
            case _:
                self.misplaceable = self.misplaceable or type(node) in _MISPLACEABLE

    def dangers(self) -> Iterator[tuple[int, str, str]]:
        """Give line, name and effect of each dangerous call, also of functions handed on."""
        for name, value in reversed(self.assigned):
            meant = self._dotted(value)
            if meant in _CALLS or meant in _ROOTS:
                self.aliases.setdefault(name, meant)
        for call in self.calls:
            name = self._dotted(call.func)
            if effect := _CALLS.get(name) or _effect(call, name):
                yield call.lineno, name or f".{getattr(call.func, 'attr', '')}", effect
            for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                if isinstance(value, ast.Name | ast.Attribute):
                    handed_on = self._dotted(value)
                    if handed_on in _CALLS:
                        yield value.lineno, handed_on, _CALLS[handed_on]

    def _dotted(self, node: ast.expr, depth: int = 10) -> str:
        """Return what a name stands for, as in `"os.system"`; nothing when it is the cell's own."""
        if depth == 0:
            return ""
        match node:
            case ast.Name(id=name):
                return self.aliases.get(name, "" if name in self.bound else name)
            case ast.Attribute(value=value, attr=attr):
                return self._of(value, attr, depth)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                return self._looked_up(value, key, depth)
            case ast.Call(func=func, args=[value, ast.Constant(value=str(key)), *_]):
                named = self._dotted(func, depth - 1)
                return self._of(value, key, depth) if named == "getattr" else ""
            case ast.Call(func=func, args=[ast.Constant(value=str(key)), *_]):
                return key if self._dotted(func, depth - 1) in _LOOKUPS else ""
        return ""

    def _of(self, owner: ast.expr, attribute: str, depth: int) -> str:
        name = self._dotted(owner, depth - 1)
        if name in _BUILTINS:
            return attribute
        return f"{name}.{attribute}" if name else ""

    def _looked_up(self, mapping: ast.expr, key: str, depth: int) -> str:
        """Return what `x.__dict__["key"]`, `vars(x)["key"]` or `globals()["key"]` stands for."""
        match mapping:
            case ast.Attribute(value=owner, attr="__dict__"):
                return self._of(owner, key, depth)
            case ast.Call(func=ast.Name(id="vars"), args=[owner]):
                return self._of(owner, key, depth)
            case ast.Call(func=ast.Name(id="globals" | "locals"), args=[]):
                return self.aliases.get(key, key)
            case ast.Name(id="__builtins__"):
                return key
        return ""


def _effect(call: ast.Call, name: str) -> str:
    """Return what a call does that depends on its arguments or on a method's name."""
    if name in _OPENERS:
        return _WRITES if _writing(call, 1) else ""
    if name.startswith("ctypes."):
        return _MEMORY
    if isinstance(call.func, ast.Attribute):
        if call.func.attr == "open":
            return _WRITES if _writing(call, 0) else ""
        return _METHODS.get(call.func.attr, "")
    return ""


def _writing(call: ast.Call, position: int) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[position : position + 1]
    return any(
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and _WRITING.fullmatch(mode.value)
        for mode in given
    )
