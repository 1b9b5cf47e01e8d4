"""Lines at the bottom of a terminal that change, below those that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text


@contextmanager
def changing(view: Callable[[], Sequence[str]]) -> Iterator[Callable[[str], None]]:
    """A context in which the terminal ends with the lines of `view`, asked once a second.

    Yields what prints a line that stays. At the end the changing lines are removed.
    """
    console = Console()

    def now() -> Text:
        return Text("\n".join(view()), no_wrap=True, overflow="ellipsis")

    def stays(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with Live(console=console, get_renderable=now, refresh_per_second=1, transient=True) as live:
        live.refresh()
        yield stays
