"""The command `rolloutlog`, also as ``python -m rolloutlog``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command with the arguments of the process; return its exit code."""
    try:
        import click  # noqa: F401 (without the extra, the next import would be a traceback)
    except ImportError:
        if sys.stderr is not None:
            sys.stderr.write("rolloutlog: the command needs click and rich: pip install 'rolloutlog[cli]'\n")
        return 2
    from ._cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
