"""`python -m daemon.cli` is `darkroom`."""

import sys

from daemon.cli import main

if __name__ == "__main__":
    sys.exit(main())
