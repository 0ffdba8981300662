"""The options of the bench. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "dev.py bench", description="Measure devhost beside the limit that its storage sets."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds instead of some minutes, and no real orders"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the orders per second as an SVG")
    parser.add_argument(
        "--volume", action="store_true", help="thousands of orders with kills and without; exit status 1 on any loss"
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="the real order saga of this tree and of that commit, by turns, as ratios"
    )
    parser.add_argument(
        "--long-run",
        type=int,
        nargs="?",
        const=5000,
        metavar="N",
        help="N real orders (5000); exit status 1 if memory, descriptors or the log are not as after 500",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of --against: rounds of each side (3)")
    return parser.parse_args(words)
