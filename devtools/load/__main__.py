"""`python -m devtools.load --orders N --at-once C`: what `python3 dev.py load` runs."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devtools.load.arguments import parse
from devtools.printing import say

if TYPE_CHECKING:
    from devtools.api_client import Target
    from devtools.load.deployment import Deployment
    from devtools.load.run import Load


def main(words: list[str]) -> int:
    """The exit status: 0 when all is right, 1 when not, 2 for a wrong command line, 130 after a stop."""
    arguments = parse(words)
    # Modules that need the environment of `.venv` are imported only now: `--help` works without one.
    from devtools.terminal import inert, write_what_can_be_written  # noqa: PLC0415
    from devtools.trouble import Trouble  # noqa: PLC0415

    write_what_can_be_written()
    try:
        return asyncio.run(_load(arguments))
    except Trouble as trouble:
        print(f"load: {inert(trouble)}", file=sys.stderr)
        return 1
    except (KeyError, TypeError):
        print("load: The answer is not the order API's: is --url right?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("load: Stopped, and nothing was judged.", file=sys.stderr)
        return 130


async def _load(arguments: argparse.Namespace) -> int:
    from devtools.api_client import target  # noqa: PLC0415
    from devtools.load.deployment import Deployment  # noqa: PLC0415
    from devtools.load.orders import drawn  # noqa: PLC0415
    from devtools.load.run import Load  # noqa: PLC0415

    def named() -> Target:
        return target(arguments.url, arguments.key, arguments.data)

    to, name = named(), f"load-{secrets.token_hex(4)}"
    deployment = Deployment(to, arguments.at_once, named)
    load = Load(deployment, name, drawn(name, arguments.orders, arguments.mix))
    try:
        await _refuse_live_cards(deployment, to.origin, arguments.yes)
        await load.put_article()
        say(f"{name}: {arguments.orders} orders, {arguments.at_once} at once, against {to.origin}")
        await _run(load, arguments.at_once)
        return 130 if load.is_stopped else await _judge(load, to.urls)
    finally:
        await deployment.close()


async def _refuse_live_cards(deployment: Deployment, origin: str, yes: bool) -> None:
    """Raises Trouble for a deployment that would charge real cards, unless --yes allows it."""
    from devtools.trouble import Trouble  # noqa: PLC0415

    health = await deployment.ask("GET", "/api/health")
    kind = health.get("stripe_key") if isinstance(health, dict) else None
    if kind == "test" or yes:
        return
    if kind == "live":
        raise Trouble(f"{origin} has a live Stripe key, so real cards would be charged. To allow that, pass --yes.")
    raise Trouble(f"{origin} does not say whether its Stripe key is a live one. To run the load anyway, pass --yes.")


async def _run(load: Load, at_once: int) -> None:
    """Run the load. Ctrl-C stops it in order. A run that ends early prints the orders that it leaves."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        load.stop()
        say("Stopping: no more orders are placed. A second Ctrl-C stops at once, without waiting for answers.")

    try:
        loop.add_signal_handler(signal.SIGINT, stop)
    except NotImplementedError:  # Windows
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop))
    whole = False
    try:
        await load.run(at_once)
        whole = not load.is_stopped
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if not whole:
            _print_remainder(load)


def _print_remainder(load: Load) -> None:
    book = load.book
    say(
        f"Stopped: {len(book.accepted)} of {len(load.orders)} orders were placed, {len(book.ended)} of them were seen "
        f"to end. The other {len(book.open)} continue by themselves; their ids begin with {load.name}. "
        "Nothing was judged."
    )
    if unheard := book.sending - book.accepted:
        say(f"Sent and not answered, so perhaps placed: {', '.join(sorted(unheard))}.")


async def _judge(load: Load, urls: Mapping[str, Any] | None) -> int:
    from devtools.load.judgement import judged, sentences  # noqa: PLC0415
    from devtools.terminal import inert  # noqa: PLC0415

    wrong = await judged(load, urls)
    if wrong:
        say("\nNot right:")
        for sentence in sentences(wrong):
            say(f"  {inert(sentence)}")
        return 1
    agree = "" if urls is None else " Money, stock, labels and mails agree."
    say(f"\nRight: all {len(load.book.ended)} orders are final.{agree}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
