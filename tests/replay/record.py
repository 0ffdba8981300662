"""Stores one history of each kind of path that orders take today: `python -m tests.replay.record`.

Run it when the saga has changed in a way that old orders survive (a path kept beside a new one). It only ever adds
files: yesterday's stay, because an order that began yesterday is still in flight. A file carries the digest of its
content in its name, so that a test sees an edit.
"""

import hashlib
import json
from pathlib import Path

from models.messages import SAGA_VERSION
from tests.replay.oracle.history import Event
from tests.replay.scenarios import SCENARIOS

FOLDER = Path(__file__).parent / "histories"
# Version 1's lie there since it was the only one, and have no number in their names.
STORED = (
    "completed",
    "validate_order refused",
    "reserve_inventory refused",
    "process_payment refused",
    "create_shipment refused",
    "send_confirmation refused",
    "confirmation refused and ignored",
    "process_payment unknown",
    "process_payment late",
    "create_shipment down",
    "reserve_inventory recovered",
    "refund_payment recovered",
    "refund_payment late",
    "validate_order cancelled",
    "reserve_inventory cancelled",
    "process_payment cancelled",
    "create_shipment cancelled",
    "send_confirmation cancelled",
    "approved",
    "approved after a wake-up for nothing",
    "approval rejected",
    "approval expired",
    "cancelled while it waits for approval",
    "charge unknown and woken",
    "charge unknown and never woken",
    "refund_payment parked",
    "refund_payment retried",
    "cancel_shipment retried twice",
    "release_inventory resolved",
    "healed after a refusal",
    "healed and parked",
    "refused for an unknown sku",
)


def text_of(history: list[Event]) -> str:
    return "[\n" + ",\n".join(json.dumps(event) for event in history) + "\n]\n"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in STORED:
        text = text_of(SCENARIOS[name].history())
        path = FOLDER / f"{SAGA_VERSION}-{name.replace(' ', '-')}.{digest_of(text)}.json"
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            print(f"added {path.name}")


if __name__ == "__main__":
    main()
