"""The command line of `dev.py check`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py check", description="Check format, lint, types and the fast tests.")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--tests", action="store_true", help="the fast tests only, as on a second Python")
    parts.add_argument("--style", action="store_true", help="format, lint and types only, as before the whole suite")
    return parser.parse_args(words)
