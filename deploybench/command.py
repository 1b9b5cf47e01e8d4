"""What every tool does around its work: arguments in, errors out in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from .errors import DeploybenchError


def run_command(
    main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser
) -> int:
    """Parse the command line, call `main` with it and return the exit code.

    0 or what `main` returns; 2 for an error that the user can mend, which is printed as one line;
    130 after Ctrl-C.
    """
    arguments = parser.parse_args()
    try:
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except DeploybenchError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has seen enough; without this Python complains once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
