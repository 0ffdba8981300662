"""`python3 dev.py check`: format, lint, types and the fast tests."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from devtools.places import VENV, Word, python_of
from devtools.printing import say
from devtools.processes import signals
from devtools.processes.programs import run_in_front

FAST_TESTS = ("tests/architecture", "tests/unit")


def main() -> int:
    """All of them, also after one has failed: one run shows all there is to mend."""
    signals.listen()
    checks: tuple[tuple[Word, ...], ...] = (
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy",),
        ("pytest", "-q", *FAST_TESTS),
    )
    failed = [" ".join(map(str, words)) for words in checks if _fails(words)]
    say(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return 1 if failed else 0


def _fails(words: Sequence[Word]) -> bool:
    say("\n" + " ".join(map(str, words)))
    return run_in_front([python_of(VENV), "-m", *words]) != 0


if __name__ == "__main__":
    sys.exit(main())
