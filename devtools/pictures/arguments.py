"""The command line of `dev.py pictures`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from devtools.places import ROOT


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py pictures", description="Make the pictures of the documents again, of a running product."
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs/pictures", metavar="DIR", help="default: docs/pictures"
    )
    return parser.parse_args(words)
