"""`python -m devtools.orders COMMAND …`: what `python3 dev.py order` runs."""

from __future__ import annotations

import os
import sys

from devtools.orders.arguments import parse


def main(words: list[str]) -> int:
    """The exit status: 0 for success, 1 for trouble, 2 for a wrong command line, 130 after Ctrl-C."""
    arguments = parse(words)
    # Modules that need the environment of `.venv` are imported only now: `--help` works without one.
    from devtools.api_client import Api, target  # noqa: PLC0415
    from devtools.orders.commands import COMMANDS  # noqa: PLC0415
    from devtools.terminal import inert, write_what_can_be_written  # noqa: PLC0415
    from devtools.trouble import Trouble  # noqa: PLC0415

    write_what_can_be_written()
    try:
        with Api(target(arguments.url, arguments.key, arguments.data)) as api:
            status = COMMANDS[arguments.verb](api, arguments)
            sys.stdout.flush()
            return status
    except Trouble as trouble:
        print(f"order {arguments.verb}: {inert(trouble)}", file=sys.stderr)
        return 1
    except (KeyError, TypeError, IndexError):
        print(f"order {arguments.verb}: The answer is not the order API's: is --url right?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
