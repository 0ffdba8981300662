"""The command line of `dev.py doctor`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse

from devtools.deployment_arguments import deployment


def parse(words: list[str]) -> argparse.Namespace:
    """`url`, `key` and `data` name the deployment."""
    parser = argparse.ArgumentParser(
        prog="dev.py doctor",
        description="Say whether a deployment is well, and what to mend if it is not. It places no order and changes "
        "nothing. Exit status 0 only if no fault was found.",
        epilog="Without --url it looks at the product that `python3 dev.py start` runs.",
        parents=[deployment()],
    )
    return parser.parse_args(words)
