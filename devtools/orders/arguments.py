"""The command line of `dev.py order`. Standard library alone, so that `--help` needs no set-up."""

from __future__ import annotations

import argparse
import getpass

from devtools.deployment_arguments import deployment


def parse(words: list[str]) -> argparse.Namespace:
    """`verb` is one of the commands below; `url`, `key` and `data` name the deployment."""
    parser = argparse.ArgumentParser(
        prog="dev.py order",
        description="Place, follow and steer orders over the public API.",
        epilog="Without --url the command goes to the product that `python3 dev.py start` runs.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    where = deployment()
    _placing(verbs.add_parser("place", parents=[where], help="place an order"))
    showing = verbs.add_parser("show", parents=[where], help="show an order")
    showing.add_argument("order_id", metavar="ID")
    showing.add_argument("--json", action="store_true", help="the view as the API has it")
    watching = verbs.add_parser("watch", parents=[where], help="follow an order until it has ended")
    watching.add_argument("order_id", metavar="ID")
    _listing(verbs.add_parser("list", parents=[where], help="list orders, newest first"))
    cancelling = verbs.add_parser("cancel", parents=[where], help="cancel an order")
    cancelling.add_argument("order_id", metavar="ID")
    cancelling.add_argument(
        "--by", default=login_name(), metavar="NAME", help="the person who asks (default: the login name)"
    )
    cancelling.add_argument("--reason", metavar="TEXT")
    for verb, summary in (("approve", "approve an order that waits for it"), ("refuse", "refuse such an order")):
        deciding = verbs.add_parser(verb, parents=[where], help=summary)
        deciding.add_argument("order_id", metavar="ID")
        deciding.add_argument(
            "--by", default=login_name(), metavar="NAME", help="the person who decides (default: the login name)"
        )
        deciding.add_argument("--comment", metavar="TEXT")
    _undoing(verbs.add_parser("retry", parents=[where], help="retry an unconfirmed undo"))
    resolving = verbs.add_parser("resolve", parents=[where], help="record an undo as done, on evidence")
    _undoing(resolving)
    resolving.add_argument("--reference", required=True, metavar="TEXT", help="the proof, such as a bank's number")
    history = verbs.add_parser("history", parents=[where], help="the audit trail of an order")
    history.add_argument("order_id", metavar="ID")
    history.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(words)


def login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name
        return "operator"


def _placing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", dest="order_id", metavar="ID", help="the order's id (default: a new one)")
    parser.add_argument(
        "--item", action="append", metavar="SKU[:N]", help="an item to buy; may be repeated (default: one armchair)"
    )
    parser.add_argument(
        "--card",
        default="pm_card_visa",
        metavar="PM",
        help="the payment method (default: pm_card_visa); docs/sandbox.md lists others",
    )
    parser.add_argument("--email", metavar="ADDRESS", help="the address for the confirmation")
    parser.add_argument("--body", metavar="FILE", help="the whole body as JSON; - is the standard input")
    parser.add_argument("--watch", action="store_true", help="then follow the order until it has ended")
    parser.add_argument("--json", action="store_true", help="the answer as the API has it")


def _listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", metavar="STATUS")
    parser.add_argument("--from", dest="oldest", metavar="DAY", help="the oldest UTC day, such as 2026-01-31")
    parser.add_argument("--to", dest="newest", metavar="DAY", help="the newest UTC day (default: today)")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="orders on a page (default: 20)")
    parser.add_argument("--continuation", metavar="TOKEN", help="the continuation token of an earlier page")
    parser.add_argument("--all", action="store_true", help="every page")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _undoing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("order_id", metavar="ID")
    parser.add_argument("undo", nargs="?", metavar="UNDO", help="the undo's name (default: the one that failed)")
    parser.add_argument("--by", default=login_name(), metavar="NAME", help="the operator (default: the login name)")
    parser.add_argument("--reason", required=True, metavar="TEXT")
