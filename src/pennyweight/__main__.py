"""`python -m pennyweight`: the command line."""

import sys

from pennyweight.cli import main

sys.exit(main())
