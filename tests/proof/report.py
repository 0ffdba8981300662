"""What a run of the proof has to tell: as a table for people, as JSON for machines."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from devtools.demo.retelling import table
from sandbox.faults import FAULTS


@dataclass
class Report:
    """`downtimes_s`: seconds from each death to a host that says it is healthy.

    `recoveries_s`: seconds from each death until an order that was under way when the host was up again has moved on
    (shows another view). Both include the stop and start of the whole product, which is how it is run.
    """

    orders: int
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    worker_kills: int = 0
    azurite_stops: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    cancels_promised: int = 0
    operator_actions: int = 0
    samples: int = 0
    downtimes_s: list[float] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def shortfalls(self, kills: int) -> list[str]:
        """What a run of its size ought to have tried and has not."""
        untried = sorted(kind for kind in FAULTS if not self.faults[kind])
        return [
            *([f"only {self.kills.total()} kills of {kills}"] if self.kills.total() < kills else []),
            *([f"no fault of the kinds {', '.join(untried)}"] if untried else []),
        ]

    def as_json(self) -> dict[str, Any]:
        """Counters become plain objects, times their median and maximum."""
        fields: dict[str, Any] = {name: dict(it) if isinstance(it, Counter) else it for name, it in vars(self).items()}
        for name in ("downtimes_s", "recoveries_s"):
            fields[name] = _spread(fields[name])
        fields["seconds"] = round(self.seconds)
        return fields

    def as_table(self) -> str:
        rows: list[tuple[str, object]] = [
            ("orders", f"{self.orders} (seed {self.seed})"),
            ("outcomes", _counts(self.outcomes)),
            ("kills of devhost", f"{self.kills.total()} ({_counts(self.kills)})"),
            ("kills of one worker", self.worker_kills),
            ("stops of Azurite", self.azurite_stops),
            ("faults fired", f"{self.faults.total()} ({_counts(self.faults)})"),
            ("cancels promised", self.cancels_promised),
            ("operators' actions", self.operator_actions),
            ("samples while orders ran", self.samples),
            ("death to healthy, s", _seconds(self.downtimes_s)),
            ("death to first progress, s", _seconds(self.recoveries_s)),
            ("run, s", f"{self.seconds:.0f}"),
            ("violations", len(self.violations)),
        ]
        lines = "".join(f"\n  {sentence}" for sentence in self.violations)
        return table(("", ""), rows) + lines


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


def _spread(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {"p50": round(statistics.median(seconds), 2), "max": round(max(seconds), 2), "count": len(seconds)}


def _seconds(seconds: list[float]) -> str:
    spread = _spread(seconds)
    return "none" if spread is None else "p50 {p50}, max {max} (of {count})".format(**spread)
