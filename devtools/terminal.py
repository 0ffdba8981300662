"""What the tools print, and for whom: a person at a terminal, a pipe, a narrow window, one without colours.

All text that a server sent is untrusted. Control characters, also those that turn the direction of writing around, are
shown as their code points, and square brackets are no markup.
"""

from __future__ import annotations

import io
import os
import sys
import unicodedata

from rich.console import Console
from rich.text import Text

# Control, format (direction of writing), surrogate, private use, unassigned; line and paragraph separators.
ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
AS_LONG_AS_IT_IS = 100_000
STYLES = {
    "completed": "green",
    "done": "green",
    "resolved": "green",
    "running": "cyan",
    "compensating": "cyan",
    "undone": "yellow",
    "compensated": "yellow",
    "cancelled": "yellow",
    "rejected": "yellow",
    "refused": "yellow",
    "awaiting_approval": "magenta",
    "unknown": "magenta",
    "failed": "bold red",
    "needs_attention": "bold red",
    "pending": "dim",
    "accepted": "dim",
}


def inert(text: object) -> str:
    """As it is, but for characters that would act on a terminal: those become `\\u{1b}`."""
    return "".join(each if is_shown(each) else f"\\u{{{ord(each):x}}}" for each in str(text))


def is_shown(character: str) -> bool:
    return unicodedata.category(character) not in ACTING


def word(status: object) -> Text:
    """A status in its colour; the word says the same without one."""
    return Text(inert(status), style=STYLES.get(str(status), ""))


def console(*, error: bool = False) -> Console:
    """NO_COLOR and the terminal's width are respected. A line into a pipe is as long as it is: it is not cut."""
    is_terminal = (sys.stderr if error else sys.stdout).isatty()
    return Console(
        stderr=error,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=is_terminal,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=None if is_terminal else AS_LONG_AS_IT_IS,
    )


def can_redraw(of: Console) -> bool:
    """Whether a picture can be replaced by the next one."""
    return of.is_terminal and not of.is_dumb_terminal


def write_what_can_be_written() -> None:
    """A letter that the output's encoding lacks is written as its code point, and stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
