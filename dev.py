#!/usr/bin/env python3
"""The one entrance: every command of this project is a verb of this file.

    python3 dev.py start    the whole product on this machine, until Ctrl-C
    python3 dev.py demo     a tour with two orders, which checks what it shows
    python3 dev.py test     every test (arguments go to pytest)
    python3 dev.py check    format, lint, types and the fast tests
    python3 dev.py bench    measured speeds, beside what storage alone allows
    python3 dev.py order    place, follow and steer orders over the public API
    python3 dev.py load     many orders at once against a deployment, and a judgement
    python3 dev.py pictures the pictures of the documents, made again
    python3 dev.py proof    orders among faults and kills, and an audit of the world they leave

It needs Python 3.11 and nothing else, so it is one file of the standard library. Each verb first makes what it needs:
an environment in `.venv`, and Azurite under `devtools/azurite/node_modules`, run by the machine's own Node or by the
one that PyPI carries.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the one line for an older Python, before anything that it cannot read
    sys.exit(f"dev.py needs Python 3.11 or later; {sys.executable} is {sys.version.split()[0]}.")

from devtools import trouble
from devtools.demo.tour import demo
from devtools.places import DATA, ROOT, VENV, Word, python_of
from devtools.processes.ports import PORTS_IN_A_ROW
from devtools.processes.programs import run_in_front
from devtools.processes.signals import Interrupted, listen_for_signals
from devtools.product.start import start
from devtools.set_up.needs import PACKAGES, TESTING
from devtools.set_up.steps import set_up
from devtools.testing.check import check
from devtools.testing.suite import test
from devtools.trouble import Trouble


def proof(arguments: argparse.Namespace) -> int:
    return _tool("tests.proof", arguments.rest)


def bench(arguments: argparse.Namespace) -> int:
    return _tool("devtools.bench", arguments.rest)


def _tool(package: str, words: Sequence[str]) -> int:
    """A tool of development, in this folder; its help needs no set-up."""
    if {"-h", "--help"} & set(words):
        return run_in_front([sys.executable, "-m", f"{package}.options", "--help"])
    set_up(*TESTING)
    return run_in_front([python_of(VENV), "-m", package, *words])


def order(arguments: argparse.Namespace) -> int:
    return _client("devtools.orders", arguments.rest)


def load(arguments: argparse.Namespace) -> int:
    return _client("devtools.load", arguments.rest)


def pictures(arguments: argparse.Namespace) -> int:
    return _client("devtools.pictures", arguments.rest)


def _client(module: str, words: Sequence[str]) -> int:
    """A client of the API, in the caller's folder and with the packages of `.venv`; its help needs none of them."""
    python: Word = sys.executable
    if not {"-h", "--help"} & set(words):
        set_up(PACKAGES)
        python = python_of(VENV)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return run_in_front([python, "-P", "-m", module, *words], {**os.environ, "PYTHONPATH": path}, Path.cwd())


# ---------------------------------------------------------------------------------------------------------------- verbs


CLIENTS = {"order": order, "load": load, "pictures": pictures}


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py", description="The one entrance of this project.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    starting = verbs.add_parser("start", help="run the whole product until Ctrl-C")
    starting.add_argument("--data", default=DATA, metavar="DIR", help="where everything is kept (default: .local)")
    starting.add_argument("--port", type=_port, metavar="P", help="P to P+6 instead of the well-known ports")
    starting.add_argument("--no-host", dest="host", action="store_false", help="all but devhost, for `func start`")
    starting.set_defaults(run=start)
    verbs.add_parser("demo", help="a tour with two orders, which checks what it shows").set_defaults(run=demo)
    verbs.add_parser("test", help="every test; arguments go to pytest").set_defaults(run=test)
    verbs.add_parser("check", help="format, lint, types and the fast tests").set_defaults(run=check)
    proving = verbs.add_parser("proof", add_help=False, help="the proof: --orders N --seed S (--help tells the rest)")
    proving.set_defaults(run=proof)
    benching = verbs.add_parser("bench", add_help=False, help="measured speeds, as a table (--help tells the rest)")
    benching.set_defaults(run=bench)
    verbs.add_parser("order", add_help=False, help="place, follow and steer orders (--help tells the rest)")
    verbs.add_parser("load", add_help=False, help="many orders at once, and a judgement (--help tells the rest)")
    verbs.add_parser("pictures", add_help=False, help="the pictures of the documents (--help tells the rest)")
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2, "\ndev.py: name a verb.\n")
    if words[0] in CLIENTS:  # all that follows is theirs, options and all
        return argparse.Namespace(verb=words[0], run=CLIENTS[words[0]], rest=list(words[1:]))
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.run not in {test, proof, bench}:
        parser.error(f"`{arguments.verb}` does not know {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def _port(text: str) -> int:
    if text.isdecimal() and 1024 <= int(text) <= 65535 - PORTS_IN_A_ROW:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no port from 1024 to {65535 - PORTS_IN_A_ROW}")


def main(words: Sequence[str]) -> int:
    arguments = parse(words)
    listen_for_signals()
    try:
        return int(arguments.run(arguments))
    except Interrupted:
        return 0 if arguments.run is start else 130
    except Trouble as found:
        print(f"dev.py: {found}", file=sys.stderr)
    except OSError as fault:
        sentence = trouble.sentence_of(fault)
        if sentence is None:
            raise
        print(f"dev.py: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
