"""The table of feature ids and their tests, in tests/README.md; run this file to write it anew."""

from __future__ import annotations

import ast
import re
from pathlib import Path

__all__ = ["README", "ROWS", "carried", "table"]

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"
_ID = re.compile(r"(?<![a-z0-9])(rr|rb)(\d\d)(?![0-9])")

ROWS = {
    "RR-01": "model and REPL in turns",
    "RR-02": "completion of a prompt",
    "RR-03": "Gemini over its own wire",
    "RR-04": "two actions: exec and final",
    "RR-05": "sub-calls down to max_depth",
    "RR-06": "child run, or one completion",
    "RR-07": "answer, usage, metadata",
    "RR-08": "options of a client",
    "RR-09": "verbose: code and output shown",
    "RR-10": "what it requires; a key",
    "RR-11": "how it is installed",
    "RR-12": "exactly one action a turn",
    "RR-13": "the exec action",
    "RR-14": "the final action",
    "RR-15": "a malformed reply is repaired",
    "RR-16": "max_iterations forces an answer",
    "RR-17": "the variable context",
    "RR-18": "llm_query, with a model's name",
    "RR-19": "a reply is an Episode",
    "RR-20": "parallel_queries: strings and maps",
    "RR-25": "chunk_text splits by meaning",
    "RR-27": "a summary to the model",
    "RR-28": "state between turns",
    "RR-29": "local: in the host process",
    "RR-30": "docker: an isolated container",
    "RR-31": "side effects off by default",
    "RR-32": "parsed before it runs",
    "RR-33": "dangerous calls only warn",
    "RR-34": "warnings on their turn",
    "RR-35": "identical queries asked once",
    "RR-36": "statistics of the cache",
    "RR-37": "cache and budget under threads",
    "RR-42": "one budget for the tree",
    "RR-43": "the budget on the result",
    "RR-44": "a limit forces an answer",
    "RR-45": "a model for sub-calls",
    "RR-46": "a roster sorted by cost",
    "RR-47": "an explicit model wins",
    "RR-48": "routing by query; max_concurrency",
    "RR-51": "an image, built once",
    "RR-52": "a limit of memory",
    "RR-53": "a share of processors",
    "RR-54": "no network, or the engine's",
    "RR-55": "the network by one word",
    "RR-56": "a container that is kept",
    "RR-57": "a container used again",
    "RR-58": "seconds to connect",
    "RR-59": "the key stays with the host",
    "RR-60": "a secret from a host's file",
    "RR-61": "no workspace is mounted",
    "RR-62": "functions inside of a container",
    "RR-63": "no patch_file or grep there",
    "RR-64": "a mounted file for one's own key",
    "RR-65": "prompt as argument or stdin",
    "RR-66": "--model",
    "RR-67": "--env, now --sandbox",
    "RR-68": "--max-iterations",
    "RR-69": "--max-depth",
    "RR-70": "--timeout of one cell",
    "RR-71": "--thinking",
    "RR-72": "--keep-alive",
    "RR-73": "--reuse-container",
    "RR-74": "--allow-network",
    "RR-75": "--verbose, --help, exit codes",
    "RR-76": "a console with a client",
    "RR-96": "one JSONL file a run",
    "RR-97": "events, and parents of children",
    "RR-98": "the examples",
    "RR-99": "the suite itself",
    "RB-01": "typed, sandboxed, auditable",
    "RB-02": "what it depends on",
    "RB-03": "configure, and forget it",
    "RB-04": "what can be configured",
    "RB-05": "predict and its overrides",
    "RB-06": "one runtime behind it",
    "RB-07": "no history between calls",
    "RB-08": "a scripted model for tests",
    "RB-09": "usage on each event",
    "RB-10": "an unknown price is unknown",
    "RB-11": "usage on events only",
    "RB-12": "signatures by their protocol",
    "RB-13": "DSPy's signatures",
    "RB-14": "types of fields",
    "RB-15": "max_iterations",
    "RB-16": "max_llm_calls",
    "RB-17": "max_sub_calls",
    "RB-18": "max_tool_calls",
    "RB-19": "max_seconds",
    "RB-20": "max_cost_usd",
    "RB-21": "max_input_bytes",
    "RB-22": "max_result_bytes",
    "RB-23": "max_stdout_bytes",
    "RB-24": "max_files",
    "RB-25": "max_file_bytes",
    "RB-26": "max_depth",
    "RB-27": "on_exceeded",
    "RB-28": "limits refuse and merge",
    "RB-29": "statuses at a limit",
    "RB-30": "fields of a result",
    "RB-31": "the statuses",
    "RB-32": "ok, needs_review, failed",
    "RB-33": "the tree of errors",
    "RB-34": "raised, or on the result",
    "RB-35": "files from every source",
    "RB-36": "a manifest of the inputs",
    "RB-37": "files are data, not instructions",
    "RB-38": "the event stream, exported",
    "RB-39": "the types of events",
    "RB-40": "a hook that breaks nothing",
    "RB-41": "the port of sandboxes",
    "RB-42": "a sandbox for tests",
    "RB-43": "in process, for trusted prompts",
    "RB-44": "a process of its own",
    "RB-45": "containers, remote machines",
    "RB-46": "not in the host process",
    "RB-47": "what the prompt holds",
    "RB-48": "actions in tags",
    "RB-49": "the bridge",
    "RB-50": "recursive predict with depth",
    "RB-51": "each limit is enforced",
    "RB-52": "tools with a category",
    "RB-53": "a class for each failure",
    "RB-54": "the example with invoices",
    "RB-59": "limits of a process",
    "RB-60": "limits of a container",
    "RB-61": "behind a caller's command",
    "RB-62": "files are mounted, not read",
}
"""The ids that are carried, each with what its row says."""


def carried() -> dict[str, list[str]]:
    """Return the tests that carry an id in their name, as `file::name` below tests/."""
    found: dict[str, list[str]] = {each: [] for each in ROWS}
    for path in sorted(HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for kind, number in _ID.findall(node.name):
                    place = f"{path.relative_to(HERE).as_posix()}::{node.name}"
                    found.setdefault(f"{kind.upper()}-{number}", []).append(place)
    return found


def table() -> str:
    """Return the table as Markdown."""
    tests = carried()
    lines = ["| id | what it says | tests |", "|---|---|---|"]
    for each, words in ROWS.items():
        named = "<br>".join(f"`{name}`" for name in tests[each])
        lines.append(f"| {each} | {words} | {named} |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """Return the README with its table replaced by the present one."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
