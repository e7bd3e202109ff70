"""`python -m pennyweight`: the command line."""

import sys

if __name__ == "__main__":
    try:
        from pennyweight.cli import main

        status = main()
    except KeyboardInterrupt:  # before the program could say so itself
        status = 130
    sys.exit(status)
