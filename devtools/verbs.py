"""The verbs of `dev.py`: the help, the needs and the module of each.

This module uses the standard library alone, as do the modules that read a verb's command line: so a help, and the
refusal of a wrong argument, need no set-up.
"""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import sys
from collections.abc import Sequence
from typing import NamedTuple

from devtools.places import ROOT
from devtools.set_up.needs import AZURITE_PACKAGE, RUN_PACKAGES, TEST_PACKAGES, WORKER
from devtools.set_up.steps import Step

RUNNING = (RUN_PACKAGES, AZURITE_PACKAGE)
TESTING = (TEST_PACKAGES, AZURITE_PACKAGE, WORKER)


class Verb(NamedTuple):
    """`module` is run with the verb's words as its command line; `options.parse(words)` refuses wrong ones."""

    name: str
    help: str
    module: str
    needs: Sequence[Step]
    options: str | None = None
    from_the_root: bool = False
    when_interrupted: int = 130


VERBS = (
    Verb(
        "start",
        "run the whole product until Ctrl-C",
        "devtools.product.start",
        RUNNING,
        "devtools.product.arguments",
        when_interrupted=0,
    ),
    Verb("demo", "a tour with two orders, which checks what it shows", "devtools.demo.tour", RUNNING),
    Verb("test", "every test; arguments go to pytest", "devtools.testing.suite", TESTING, "devtools.testing.arguments"),
    Verb(
        "check",
        "format, lint, types and the fast tests",
        "devtools.testing.check",
        [TEST_PACKAGES],
        "devtools.testing.check_arguments",
    ),
    Verb(
        "proof",
        "orders among faults and kills, judged from outside",
        "tests.proof",
        TESTING,
        "tests.proof.options",
        from_the_root=True,
    ),
    Verb(
        "bench",
        "measured speeds, as a table",
        "devtools.bench",
        TESTING,
        "devtools.bench.options",
        from_the_root=True,
    ),
    Verb(
        "order",
        "place, show, follow, approve, repair and cancel orders",
        "devtools.orders",
        [RUN_PACKAGES],
        "devtools.orders.arguments",
    ),
    Verb(
        "load",
        "many orders at once against a deployment, and a judgement",
        "devtools.load",
        [RUN_PACKAGES],
        "devtools.load.arguments",
    ),
    Verb(
        "doctor",
        "whether a deployment is well, and what to mend if not",
        "devtools.doctor",
        [RUN_PACKAGES],
        "devtools.doctor.arguments",
    ),
    Verb(
        "pictures",
        "make the pictures of the documents again",
        "devtools.pictures",
        [TEST_PACKAGES, AZURITE_PACKAGE],
        "devtools.pictures.arguments",
    ),
)


def chosen(words: Sequence[str]) -> tuple[Verb, Sequence[str]]:
    """The verb and its own words. A help, a missing verb or a wrong word ends the process, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="The one entrance of this project. Each verb first installs what it needs.",
        epilog="`dev.py VERB --help` lists the options of a verb. To see the product, run `start` or `demo`.",
    )
    listed = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        listed.add_parser(verb.name, help=verb.help, add_help=False)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2, "\ndev.py: name a verb.\n")
    name = parser.parse_args(words[:1]).verb
    verb = next(verb for verb in VERBS if verb.name == name)
    if verb.options is None:
        argparse.ArgumentParser(prog=f"dev.py {name}", description=f"{verb.help.capitalize()}.").parse_args(words[1:])
    else:
        importlib.import_module(verb.options).parse(words[1:])
    return verb, words[1:]


def run(verb: Verb, words: Sequence[str]) -> int:
    """Run a verb in the caller's folder, or in this one if the verb is about it."""
    if verb.from_the_root:
        os.chdir(ROOT)
    sys.argv[1:] = words
    runpy.run_module(verb.module, run_name="__main__", alter_sys=True)
    return 0
