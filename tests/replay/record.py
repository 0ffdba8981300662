"""Stores one history of each path that orders take today: `python -m tests.replay.record`.

Run it when the saga has changed in a way that old orders survive (a path kept beside a new one). It only ever adds
files: yesterday's stay, because an order that began yesterday is still in flight. A file carries the digest of its
content in its name, so that a test sees an edit.
"""

import hashlib
import json
from pathlib import Path

from tests.replay.oracle import Event
from tests.replay.scenarios import SCENARIOS

FOLDER = Path(__file__).parent / "histories"
STORED = (
    "completed",
    "validate_order refused",
    "process_payment refused",
    "process_payment unknown",
    "create_shipment down",
    "send_confirmation refused",
    "reserve_inventory recovered",
    "refund_payment recovered",
    "release_inventory down",
    "confirmation refused and ignored",
)


def text_of(history: list[Event]) -> str:
    return "[\n" + ",\n".join(json.dumps(event) for event in history) + "\n]\n"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in STORED:
        text = text_of(SCENARIOS[name].history())
        path = FOLDER / f"{name.replace(' ', '-')}.{digest_of(text)}.json"
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            print(f"added {path.name}")


if __name__ == "__main__":
    main()
