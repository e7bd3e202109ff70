"""`pennyweight`, and `python -m pennyweight`: the command line, which handles signals while it is still loading."""

import sys

from pennyweight.core.signals import ending, handling_signals

__all__ = ["run"]


def run() -> int:
    """Run the command line with its signals handled, and return the exit status: the installed command."""
    handling_signals()
    from pennyweight.cli import main

    return ending(main())


if __name__ == "__main__":
    sys.exit(run())
