"""Re-cut the mutants' patches after the lines around them have moved: `python -m tests.proof.rebase_mutants`.

A patch is applied by its text and not by its line numbers: each changed block is looked for with as many of its context
lines as are still there, and must be found exactly once. What was found is written back as a fresh patch.

    python -m tests.proof.rebase_mutants                                   all that no longer apply as they stand
    python -m tests.proof.rebase_mutants --replacing api/=api/            first, in each patch: a path or a name is new

A patch whose block is not found, or found twice, is left as it is and named; the exit status is 1 then. Somebody has to
say anew how the rule is broken.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.proof.mutants import PATCHES, ROOT, Unfit, check_patch, read

MOST_CONTEXT = 3


class Hunk(NamedTuple):
    """Neighbouring changed lines of a patch, with the unchanged lines around them."""

    before: list[str]
    removed: list[str]
    added: list[str]
    after: list[str]


class Edit(NamedTuple):
    """What a patch does to one file."""

    path: str
    blocks: list[Hunk]


def parsed(patch: str) -> tuple[str, list[Edit]]:
    """The comment at the top, and the edits."""
    head, *files = re.split(r"^--- a/.*\n", patch, flags=re.MULTILINE)
    edits = []
    for text in files:
        name, *hunks = re.split(r"^@@.*\n", text, flags=re.MULTILINE)
        path = name.strip().removeprefix("+++ b/")
        edits.append(Edit(path, [block for hunk in hunks for block in _blocks(hunk.splitlines())]))
    return head, edits


def _blocks(hunk: list[str]) -> Iterator[Hunk]:
    lines = [line or " " for line in hunk]
    start = 0
    while start < len(lines):
        if lines[start][0] == " ":
            start += 1
            continue
        end = start
        while end < len(lines) and lines[end][0] != " ":
            end += 1
        changed = lines[start:end]
        yield Hunk(
            before=_context(lines[:start])[-MOST_CONTEXT:],
            removed=[line[1:] for line in changed if line[0] == "-"],
            added=[line[1:] for line in changed if line[0] == "+"],
            after=_context(lines[end:])[:MOST_CONTEXT],
        )
        start = end


def _context(lines: list[str]) -> list[str]:
    """What the unchanged file has there: lines that the patch takes away count, lines that it brings do not."""
    return [line[1:] for line in lines if line[0] != "+"]


def applied(source: list[str], block: Hunk) -> list[str]:
    """The file's lines with the block changed. Raises Unfit when its place is not found exactly once."""
    for context in range(MOST_CONTEXT, -1, -1):
        before = block.before[len(block.before) - context :] if context else []
        wanted = [*before, *block.removed, *block.after[:context]]
        places = [at for at in range(len(source)) if wanted and source[at : at + len(wanted)] == wanted]
        if len(places) == 1:
            at = places[0] + len(before)
            return [*source[:at], *block.added, *source[at + len(block.removed) :]]
    raise Unfit("its place is not found, or found twice:\n" + "\n".join(f"    {line}" for line in block.removed))


def recut(patch: str) -> str:
    """The same change as a patch of today's files. Raises Unfit."""
    head, edits = parsed(patch)
    sections = [head]
    for path, blocks in edits:
        source = (ROOT / path).read_text(encoding="utf-8").splitlines()
        changed = source
        for block in blocks:
            changed = applied(changed, block)
        sections += [f"{line}\n" for line in _diff(source, changed, path)]
    return "".join(sections)


def _diff(source: list[str], changed: list[str], path: str) -> Iterator[str]:
    return difflib.unified_diff(source, changed, f"a/{path}", f"b/{path}", lineterm="")


def rebase(patch: Path, replacing: Sequence[tuple[str, str]]) -> str | None:
    """Re-cut one patch in place if it does not apply. Returns what is wrong with it, or None."""
    text = patch.read_text(encoding="utf-8")
    for old, new in replacing:
        text = text.replace(old, new)
    patch.write_text(text, encoding="utf-8")
    try:
        check_patch(read(patch), ROOT)
    except Unfit:
        try:
            patch.write_text(recut(text), encoding="utf-8")
            check_patch(read(patch), ROOT)
        except (Unfit, FileNotFoundError) as unfit:
            patch.write_text(text, encoding="utf-8")
            return str(unfit)
    return None


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.proof.rebase_mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--replacing", action="append", default=[], metavar="OLD=NEW", help="in each patch")
    options = parser.parse_args()
    replacing = [(old, new) for old, _, new in (pair.partition("=") for pair in options.replacing)]
    stuck = {patch.stem: rebase(patch, replacing) for patch in sorted(PATCHES.glob("*.patch"))}
    for name, problem in stuck.items():
        if problem:
            print(f"{name}: {problem}")
    return 1 if any(stuck.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
