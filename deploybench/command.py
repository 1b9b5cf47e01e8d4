"""What every tool does around its work: arguments in, errors out in one line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from .errors import DeploybenchError


def run_command(
    main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser
) -> int:
    """Parse the command line, call `main` with it and return the exit code.

    0 or what `main` returns; 2 for an error that the user can mend or that the system reports,
    which is printed as one line; 70 for a fault of our own, with its place; 141 where the reader of
    the output went away, 130 after Ctrl-C, 143 after a SIGTERM. So 1 is always `main`'s own.
    """
    arguments = parser.parse_args()
    # As an exception, so that whoever has started processes ends them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except DeploybenchError as error:
        return _refuse(parser, str(error))
    except BrokenPipeError:
        # The reader has seen enough.
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        # A full disk, a folder that may not be written: nothing that is wrong with the code.
        _drop_output()
        place = "" if error.filename is None else f"'{error.filename}': "
        return _refuse(parser, f"{place}{error.strerror or error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        fault = "a fault of the tool, please report it"
        _refuse(parser, f"{type(error).__name__}: {error} ({place}): {fault}")
        return os.EX_SOFTWARE


def _refuse(parser: argparse.ArgumentParser, message: str) -> int:
    # A name quoted in the message may hold a line break; the message is still one line.
    print(f"{parser.prog}: {' '.join(message.splitlines())}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    # Python would try to write what is left as it ends, and complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
