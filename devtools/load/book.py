"""A load's record of its orders, and its line of progress."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from devtools.audit.witnesses import UNDONE


@dataclass
class Book:
    """By order id. `accepted`: the POST was answered with 202; `cancelled`: the cancel was; `ended`: the status, and
    the seconds until it; `wrong`: a sentence that names the fault."""

    began: float = field(default_factory=time.monotonic)
    sending: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    parked: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def note_end(self, order_id: str, status: str, took_s: float) -> None:
        self.ended[order_id] = status
        self.took_s.append(took_s)

    @property
    def open(self) -> set[str]:
        """Accepted orders that were not seen to end."""
        return self.accepted - self.ended.keys()

    def line(self) -> str:
        """One line of progress."""
        counts = Counter(self.ended.values())
        elapsed = time.monotonic() - self.began
        return "  ".join(
            (
                f"{elapsed:5.0f} s",
                f"started {len(self.accepted)}",
                f"completed {counts['completed']}",
                f"undone {sum(counts[status] for status in UNDONE)}",
                f"parked {len(self.parked)}",
                f"failed {len(self.wrong)}",
                f"rate {len(self.ended) / max(elapsed, 0.001):.1f}/s",
                f"p50 {_seconds(quantile(self.took_s, 0.5))}",
                f"p95 {_seconds(quantile(self.took_s, 0.95))}",
            )
        )


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank; None without values."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
