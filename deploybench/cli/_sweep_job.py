"""`bench` as the job of a sweep: it ends, with all that it started, when the sweep does."""

import sys

from .. import processes
from . import main

if __name__ == "__main__":
    processes.end_with_parent()
    sys.exit(main(["bench", *sys.argv[1:]]))
