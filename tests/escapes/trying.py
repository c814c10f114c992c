"""Runs the cases that come as JSON on stdin in places of one kind; prints their harms as JSON."""

from __future__ import annotations

import json
import sys

from .case import from_json
from .kinds import KINDS
from .namespaces import guarded, own_mounts

__all__ = ["main"]


def main() -> int:
    """Answer on stdout, after a line of its own."""
    kind = KINDS[sys.argv[1]]
    cases = [one for one in from_json(sys.stdin.read()) if kind.name not in one.allowed_in]

    def run() -> int:
        from .referee import judged  # in the namespaces already, whatever it starts

        found = json.dumps(judged(kind, cases))
        print(f"\n==\n{found}")
        return 0

    if kind.guarded:
        return guarded(run)
    own_mounts()
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
