"""The output of the tools for a terminal, a pipe, a narrow window, or a terminal without colours.

All text that a server sent is untrusted. Control characters, also those that change the direction of writing, are shown
as their code points, and square brackets are no markup.
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
    """The text with characters that would act on a terminal shown as `\\u{1b}`."""
    return "".join(each if is_shown(each) else f"\\u{{{ord(each):x}}}" for each in str(text))


def is_shown(character: str) -> bool:
    return unicodedata.category(character) not in ACTING


def word(status: object) -> Text:
    """A status in its colour; the word is enough without it."""
    return Text(inert(status), style=STYLES.get(str(status), ""))


def console(*, error: bool = False) -> Console:
    """A console that follows NO_COLOR and the terminal's width. Lines into a pipe are not cut."""
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
    """Whether the output can be redrawn in place."""
    return of.is_terminal and not of.is_dumb_terminal


def write_what_can_be_written() -> None:
    """Have letters that the output's encoding lacks written as their code points, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
