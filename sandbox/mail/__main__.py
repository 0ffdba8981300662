"""Mail and push on 127.0.0.1, until SIGTERM: `python -m sandbox.mail --port 8025 --smtp-port 1025 --data DIR`."""

import argparse
import socket

from sandbox import process
from sandbox.faults import Faults
from sandbox.ledger import Ledger
from sandbox.mail import alerts, push_edge, smtp_edge

OPERATIONS = ("email.send", "push.send")


def parsed() -> argparse.Namespace:
    parser = process.arguments("sandbox.mail", "SMTP and Notification Hubs' send call for laptops and tests.")
    parser.add_argument("--smtp-port", type=int, required=True, help="SMTP port on 127.0.0.1")
    return parser.parse_args()


async def serve(options: argparse.Namespace, http: socket.socket, smtp: socket.socket) -> None:
    """Serve SMTP and then HTTP: when health answers, both are ready."""
    ledger = Ledger(options.data / "messages.jsonl")
    ledger.recall()  # a message has no state beside its row
    alert_ledger = Ledger(options.data / "alerts.jsonl")
    alert_ledger.recall()
    faults = Faults(options.data / "messages-faults.jsonl", OPERATIONS)
    app = process.application(options.allow_host)
    process.control_edge(app, "/sandbox/messages", ledger, faults)
    push_edge.serve(app, ledger, faults)
    alerts.serve(app, alert_ledger)
    async with await smtp_edge.listen(smtp, ledger, faults):
        where = f"http://127.0.0.1:{options.port}, smtp://127.0.0.1:{options.smtp_port}"
        print(f"mail: {where}, data in {options.data}", flush=True)
        await process.serve_until_stopped(app, http)


def main() -> None:
    options = parsed()
    http, smtp = process.listen(options.port), process.listen(options.smtp_port)
    process.run(lambda: serve(options, http, smtp))


if __name__ == "__main__":
    main()
