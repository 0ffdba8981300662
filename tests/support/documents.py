"""How the documents are read: README.md and the others beside it, everything in docs/, and requests.http.

A `sh` block with a curl to 127.0.0.1 is an example; the `json` block after it is its answer. A chapter that starts the
product with settings (`NAME=value … python3 dev.py start`) is for a product that has them.
"""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from devtools.places import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
# The README first, because the others build on its orders.
DOCUMENTS = [ROOT / "README.md", *sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {ROOT / "README.md"})]

Settings = tuple[tuple[str, str], ...]


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Example(NamedTuple):
    """One curl command of a document and its printed answer; `settings` is what its chapter starts the product with."""

    document: str
    command: str
    answer: str
    settings: Settings

    @property
    def title(self) -> str:
        words = shlex.split(self.command)
        return f"{self.document}: {' '.join(word for word in words if not word.startswith(('{', 'Content-Type')))}"


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def examples() -> Iterator[Example]:
    """Every example of every document, in the order in which a reader would run them."""
    for document in DOCUMENTS:
        for chapter in re.split(r"^(?=## )", text_of(name_of(document)), flags=re.MULTILINE):
            yield from _examples(name_of(document), chapter)


def _examples(document: str, chapter: str) -> Iterator[Example]:
    code, settings = list(blocks(chapter)), _started_with(chapter)
    for block, following in zip(code, [*code, Block("", "")][1:], strict=True):
        if block.language == "sh" and "curl" in block.text and LOOPBACK in block.text:
            assert following.language == "json", f"{document}: no answer is printed after: {block.text}"
            yield Example(document, block.text.strip(), following.text, settings)


def blocks(text: str) -> Iterator[Block]:
    for fenced in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        yield Block(fenced[2], fenced[3])


def _started_with(chapter: str) -> Settings:
    command = re.search(r"^((?:\w+=\S+ )+)python3 dev\.py start$", chapter, re.MULTILINE)
    words = command[1].split() if command else []
    return tuple((name, value) for name, _, value in (word.partition("=") for word in words))


def rows(document: str, heads: str) -> list[list[str]]:
    """The rows of the table of that document whose headings begin with `heads`, as cells."""
    pattern = rf"^\| {re.escape(heads)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)"
    table = re.search(pattern, text_of(document), re.MULTILINE)
    assert table is not None, f"{document} has no table of {heads}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


class Request(NamedTuple):
    """One request of requests.http; `path` is without its query."""

    method: str
    path: str
    headers: str
    body: str


def requests() -> list[Request]:
    """As the editors read the file: requests between lines of ###, headers up to an empty line, then the body."""
    written = []
    for part in re.split(r"^###.*\n", text_of("requests.http"), flags=re.MULTILINE)[1:]:
        head, _, body = part.strip().partition("\n\n")
        line, _, headers = head.partition("\n")
        method, url = line.split(" ")
        written.append(Request(method, url.removeprefix("{{host}}").partition("?")[0], headers, body))
    return written
