"""What a checkpoint holds beside tensors that torch refuses to open, and how to save the weights.

Opening such objects runs code that the file names. To see what lies beside them, the file is read
with an empty class in place of each, which does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import torch_files

# Objects that are only data, so that torch may be told to open them.
DATA = ("argparse.Namespace", "pathlib.", "numpy.", "collections.", "datetime.")
MODULES = ("model", "ema", "state_dict", "net", "network", "module")
"""What people call a whole module in a checkpoint."""
WRITER = "in the program that wrote it"
TRIES = 200
DEPTH = 4
"""How deep in a checkpoint weights are looked for."""


class Inert:
    """Takes the place of an object and remembers its name."""

    name = ""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.entries: dict[str, Any] = {}

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Whatever the object was made of."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore an entry."""

    def append(self, value: Any) -> None:
        """Ignore an item."""

    extend = append


def named(error: Exception) -> list[str]:
    """The global that torch names in its refusal, as a list; empty for other errors."""
    found = re.search(
        r"GLOBAL ([\w.]+)|(?:class|function|global) (?:<class ')?([\w.]+)'?>? was not|"
        r"Trying to (?:load|call)[^.]*? ([\w.]+\.\w+)",
        str(error),
    )
    return [next(filter(None, found.groups()))] if found else []


def explained(path: Path, names: list[str]) -> str:
    """What a file holds beside tensors, and the line of Python that saves its weights.

    names: those known so far.
    """
    contents, names = _look_into(path, names)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    held = f"it holds {shown}, which is not opened, because that runs code of the file's"
    target = repr(str(path.with_name(f"{path.stem}-weights.pth")))
    if isinstance(contents, Inert):
        held = held.replace("it holds", f"it is an object ({contents.name}), maybe a whole module:")
    entries = contents if isinstance(contents, dict) else {}
    places = list(_with_tensors(contents))
    if not places:
        module = next((key for key in MODULES if isinstance(entries.get(key), Inert)), None)
        whole = "model" if module is None else f"checkpoint[{module!r}]"
        return f"{held}; {WRITER}: torch.save({whole}.state_dict(), {target})"
    saving = f"torch.save({_selecting(places)}, {target})"
    if not all(name.startswith(DATA) for name in names):
        return f"{held}; {WRITER}: {saving}"
    return f"{held}; if you trust it, in Python: {_opening(path, names)}; {saving}"


def _look_into(path: Path, names: list[str]) -> tuple[Any, list[str]]:
    """The contents with an Inert for each object, or None, and the names of all the objects."""
    import torch

    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        names = sorted({*names, *found})
    except Exception:
        pass
    for _ in range(TRIES):
        stand_ins: list[Any] = [(type("Inert", (Inert,), {"name": each}), each) for each in names]
        try:
            with torch.serialization.safe_globals(stand_ins):
                return torch_files.load(path), names
        except Exception as error:
            more = [name for name in named(error) if name not in names]
            if not more:
                return None, names
            names += more
    return None, names


def _with_tensors(contents: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are dicts with tensors by name: the keys and indices that lead to each."""
    import torch

    if isinstance(contents, dict) and any(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in contents.items()
    ):
        yield place
    elif len(place) < DEPTH and isinstance(contents, dict | list | tuple):
        inner = contents.items() if isinstance(contents, dict) else enumerate(contents)
        for key, value in inner:
            if isinstance(key, str | int):
                yield from _with_tensors(value, (*place, key))


def _selecting(places: Sequence[tuple[Any, ...]]) -> str:
    """The expression for the tensors at `places` of a checkpoint.

    It has all that may be meant: which of them is for the reader to say.
    """
    if places == [()]:
        return "{k: v for k, v in checkpoint.items() if isinstance(v, torch.Tensor)}"
    if len(places) == 1:
        return _indexed(places[0])
    if all(len(place) == 1 for place in places):
        return f"{{key: checkpoint[key] for key in {[key for (key,) in places]}}}"
    named = (f"{'.'.join(map(str, place))!r}: {_indexed(place)}" for place in places)
    return f"{{{', '.join(named)}}}"


def _indexed(place: tuple[Any, ...]) -> str:
    return "checkpoint" + "".join(f"[{key!r}]" for key in place)


def _opening(path: Path, names: list[str]) -> str:
    """The line of Python that opens a file with objects that are only data."""
    # NumPy 2 moved what older files name.
    moved = {name: name.replace("numpy.core.", "numpy._core.") for name in names}
    modules = sorted({each.rpartition(".")[0] for each in moved.values()} | {"torch"})
    allowed = ", ".join(
        each if each == name else f"({each}, {name!r})" for name, each in moved.items()
    )
    if "numpy.dtype" in names:  # each dtype is a class of its own
        allowed += ", *{type(numpy.dtype(code)) for code in '?bBhHiIlLqQefd'}"
    return (
        f"import {', '.join(modules)}; torch.serialization.add_safe_globals([{allowed}]); "
        f"checkpoint = torch.load({str(path)!r}, map_location='cpu')"
    )
