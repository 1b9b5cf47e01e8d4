"""`python -m deploybench` is the command `deploybench`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
