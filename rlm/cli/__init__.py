"""The `rlm` command."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit with its code."""
    from rlm.cli.exits import INTERRUPTED

    try:
        from rlm.cli.app import run_app

        code = run_app()
    except KeyboardInterrupt:  # while it was being loaded
        code = INTERRUPTED
    raise SystemExit(code)
