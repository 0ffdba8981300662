"""The options of the proof: apart and of the standard library, so that its help needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    description = "The whole proof: judges, chaos, mutants; exit status 1 on any finding."
    parser = argparse.ArgumentParser(prog="dev.py proof", description=description)
    parser.add_argument("--orders", type=int, default=100, help="orders of the chaos run (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="what everything random is drawn from (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report there")
    parser.add_argument("--chaos-only", action="store_true", help="without the judges and the mutants")
    return parser.parse_args(words)
