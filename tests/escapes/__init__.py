"""The escape suite: cells that each try to do one harm, judged from outside of the sandbox.

To add a case, put it into the table of its topic in `tables/` (one module a topic):

    case("reads_a_file_of_the_host", "print(open(host.secret_file).read())"),

The cell runs after `prelude.txt`, so it has `libc`, `syscall(name, *args)`, `won()`, `mark()`,
`wire()` and `frame(…)`, and `host`, whose attributes name what the referee has planted
(`world.py`): `secret_file`, `pid`, `tcp`, `sibling_pid` … It does its harm and says nothing; the
referee looks at the world afterwards: a secret that was printed, a planted file that changed, a
listener that was reached, a process that was signalled or left alive, a bound that was passed, a
sibling or a host that is gone. Only where nobody but the cell can tell (a system call has
succeeded), it calls `won()`, which prints a word that stands nowhere in its code. A cell that is
refused may simply raise. `then=` is a cell of a later session of the same place, which may `won()`
as well; `seconds`, `memory_mb`, `scratch_mb`, `processes` and `threads` bound its place.

Each case must work without a sandbox: its control runs it by a bare `exec` as an ordinary user in
throwaway namespaces (`bare.py`). With `control="root"` that user is root in its namespaces; with
`control=None` there is none, because `why`.

    python -m tests.escapes --sandbox process [--only NAME] [--cases FILE_OR_FOLDER]

prints a table of verdicts; `--cases` takes tables from elsewhere, in the same form:
`from tests.escapes import case` and `CASES = (case(…), …)`.
"""

from .case import Case, case

__all__ = ["Case", "case"]
