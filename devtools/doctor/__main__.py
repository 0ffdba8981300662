"""`python -m devtools.doctor`: what `python3 dev.py doctor` runs."""

from __future__ import annotations

import argparse
import sys

from devtools.doctor.arguments import parse


def main(words: list[str]) -> int:
    """The exit status: 0 without a fault, 1 with one or if nothing answers, 2 for a wrong command line."""
    arguments = parse(words)
    # Modules that need the environment of `.venv` are imported only now: `--help` works without one.
    from devtools.terminal import inert, write_what_can_be_written  # noqa: PLC0415
    from devtools.trouble import Trouble  # noqa: PLC0415

    write_what_can_be_written()
    try:
        return _check(arguments)
    except Trouble as trouble:
        print(f"doctor: {inert(trouble)}", file=sys.stderr)
        return 1
    except (KeyError, TypeError, AttributeError):
        print("doctor: The answer is not the order API's: is --url right?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _check(arguments: argparse.Namespace) -> int:
    from devtools.api_client import target  # noqa: PLC0415
    from devtools.doctor.checks import CHECKS, Level, check_context  # noqa: PLC0415
    from devtools.doctor.deployment import Deployment  # noqa: PLC0415
    from devtools.printing import say  # noqa: PLC0415
    from devtools.terminal import inert  # noqa: PLC0415

    faults = 0
    with Deployment(target(arguments.url, arguments.key, arguments.data)) as deployment:
        context = check_context(deployment)
        say(deployment.to.origin)
        for finding in (finding for check in CHECKS for finding in check(context)):
            faults += finding.level == Level.FAULT
            say(f"{finding.level:<6}{finding.subject:<12} {inert(finding.sentence)}")
    say(f"\nNot well: {faults} {'fault' if faults == 1 else 'faults'}." if faults else "\nWell.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
