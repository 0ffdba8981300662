"""The command line of `dev.py load`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse

from devtools.deployment_arguments import deployment

KINDS = ("good", "declined", "cancelled", "approved")
DEFAULT_MIX = "good=70,declined=10,cancelled=10,approved=10"
MOST_ORDERS = 100_000
MOST_AT_ONCE = 256


def parse(words: list[str]) -> argparse.Namespace:
    """`mix` is a dict of shares by kind."""
    parser = argparse.ArgumentParser(
        prog="dev.py load",
        description="Place many orders at once, follow each to its end, and judge their effects. Exit status 0 only "
        "if every order is final and, on a local start, money, stock, labels and mails agree.",
        epilog="Without --url the load goes to the product that `python3 dev.py start` runs.",
        parents=[deployment()],
    )
    parser.add_argument("--orders", type=_count(MOST_ORDERS), required=True, metavar="N", help="how many orders")
    parser.add_argument(
        "--at-once", type=_count(MOST_AT_ONCE), required=True, metavar="C", help="how many of them at once"
    )
    parser.add_argument(
        "--mix", type=mix, default=mix(DEFAULT_MIX), metavar="KIND=SHARE,…", help=f"default: {DEFAULT_MIX}"
    )
    parser.add_argument("--yes", action="store_true", help="allow a live Stripe key: cards are charged")
    return parser.parse_args(words)


def _count(most: int):  # type: ignore[no-untyped-def]  # argparse calls it by its name
    def number(text: str) -> int:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to {most}")

    return number


def mix(text: str) -> dict[str, int]:
    """`good=90,declined=10` -> shares. Raises ArgumentTypeError."""
    shares: dict[str, int] = {}
    for part in text.split(","):
        kind, _, share = part.strip().partition("=")
        if kind not in KINDS or kind in shares or not (share.isascii() and share.isdigit()):
            raise argparse.ArgumentTypeError(
                f"{part!r}: a mix is KIND=SHARE,…, each of {', '.join(KINDS)} at most once"
            )
        shares[kind] = int(share)
    if not sum(shares.values()):
        raise argparse.ArgumentTypeError("a mix of nothing")
    return shares
