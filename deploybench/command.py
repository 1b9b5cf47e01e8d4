"""Runs the command and the tools: parses the arguments and reports errors in one line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from .errors import DeploybenchError, printable


def run_command(
    main: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace | None = None,
) -> int:
    """Call `main` with `arguments`, by default the command line's, and return the exit code.

    0, or what `main` returns; 2 for an error that the user can fix or that the system reports,
    printed as one line; 70 for a bug, printed with its place; 141 if the reader of the output
    closed it; 130 after Ctrl-C; 143 after SIGTERM; 129 after SIGHUP. So 1 always comes from `main`.
    """
    _open_closed_streams()
    arguments = parser.parse_args() if arguments is None else arguments
    # As an exception, so that cleanup code ends the processes it has started.
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup does
            signal.signal(each, lambda number, _: sys.exit(128 + number))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name may contain letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except DeploybenchError as error:
        return _refuse(parser, str(error))
    except BrokenPipeError:
        # The reader closed the output.
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        # A full disk or a folder without write permission, not a bug.
        _drop_output()
        place = "" if error.filename is None else f"'{error.filename}': "
        return _refuse(parser, f"{place}{error.strerror or error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        fault = "this is a bug, please report it"
        _refuse(parser, f"{type(error).__name__}: {error} ({place}): {fault}")
        return os.EX_SOFTWARE


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed, so that no other file gets their numbers.

    Python has None in their place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number, which is the stream's own.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _refuse(parser: argparse.ArgumentParser, message: str) -> int:
    # What is quoted in the message may contain line breaks and escape codes.
    line = printable(" ".join(message.splitlines()))
    print(f"{parser.prog}: {line}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    # At exit, Python would try to write the remaining output and report the error again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
