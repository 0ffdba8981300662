#!/usr/bin/env python3
"""The one entrance: every command of this project is a verb of this file.

    python3 dev.py start    the whole product on this machine, until Ctrl-C
    python3 dev.py demo     a tour with two orders, which checks what it shows
    python3 dev.py test     every test (arguments go to pytest)
    python3 dev.py check    format, lint, types and the fast tests
    python3 dev.py bench    measured speeds, beside what storage alone allows
    python3 dev.py order    place, follow and steer orders over the public API
    python3 dev.py load     many orders at once against a deployment, and a judgement
    python3 dev.py doctor   whether a deployment is well, and what to mend if not
    python3 dev.py pictures the pictures of the documents, made again
    python3 dev.py proof    orders among faults and kills, and an audit of the world they leave

It needs Python 3.11 and nothing else. It installs what the verb needs: an environment in `.venv`, and Azurite under
`devtools/azurite/node_modules`, run by the machine's own Node or by the one that PyPI carries. Then it runs itself
again with the Python of `.venv`, in which the verb may use the packages. The verbs are in `devtools/`.

What this file imports is standard library, and so is what that imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the one line for an older Python, before anything that it cannot read
    sys.exit(f"dev.py needs Python 3.11 or later; {sys.executable} is {sys.version.split()[0]}.")

from devtools import trouble, verbs
from devtools.places import VENV, WINDOWS, python_of
from devtools.processes import signals
from devtools.set_up.steps import set_up


def main(words: Sequence[str]) -> int:
    """The exit status: of the verb, 1 for trouble, 2 for a wrong command line, 130 after Ctrl-C."""
    verb, rest = verbs.chosen(words)
    return trouble.exit_status_of(lambda: _run(verb, rest))


def _run(verb: verbs.Verb, rest: Sequence[str]) -> int:
    signals.listen()
    try:
        set_up(*verb.needs)
    except signals.Interrupted:
        return verb.when_interrupted
    if Path(sys.prefix).resolve() != VENV.resolve():
        return _again([str(python_of(VENV)), *sys.argv])
    signals.hear_each_as_ctrl_c()
    return verbs.run(verb, rest)


def _again(command: list[str]) -> int:
    if not WINDOWS:  # it has no exec that a terminal would wait for
        os.execv(command[0], command)  # noqa: S606
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
