"""The command line of `dev.py start`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import astuple

from devtools.places import DATA
from devtools.processes.ports import PORTS_IN_A_ROW, Ports

WELL_KNOWN = f"the well-known ports ({', '.join(map(str, astuple(Ports())))})"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py start", description="Run the whole product until Ctrl-C.")
    parser.add_argument("--data", default=DATA, metavar="DIR", help="the data folder (default: .local)")
    parser.add_argument("--port", type=_port, metavar="P", help="P to P+6 instead of " + WELL_KNOWN)
    parser.add_argument("--no-host", dest="host", action="store_false", help="all but devhost, for `func start`")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests that name this host, too (a tunnel, a container's name for this machine)",
    )
    return parser.parse_args(words)


def _port(text: str) -> int:
    if text.isdecimal() and 1024 <= int(text) <= 65535 - PORTS_IN_A_ROW:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no port from 1024 to {65535 - PORTS_IN_A_ROW}")
