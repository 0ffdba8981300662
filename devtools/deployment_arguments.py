"""The options by which `order`, `load` and `doctor` name a deployment. Standard library: `--help` needs no set-up."""

from __future__ import annotations

import argparse
from pathlib import Path

from devtools.places import DATA


def deployment() -> argparse.ArgumentParser:
    """A parent parser: `url`, `key` and `data`."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--url", metavar="ORIGIN", help="another deployment: its origin, without /api")
    where.add_argument("--key", metavar="KEY", help="its function key (or in the environment: ORDER_API_KEY)")
    where.add_argument(
        "--data",
        type=Path,
        default=DATA,
        metavar="DIR",
        help="the data folder of the running `start` (default: .local)",
    )
    return where
