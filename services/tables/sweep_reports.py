"""`SweepReports`: what the sweep last found and where its next run starts, as one row of table `orderindex`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

from models.operations.order_list import EndedCounts
from models.view import moment
from reconciliation.sweep import Place
from services.storage import storage_faults

KEYS = {"PartitionKey": "sweep", "RowKey": "last"}
MOST_NAMES = 20


class SweepReports:
    """Raises Unavailable."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def note(
        self, counts: Mapping[str, int], not_mended: Sequence[str], place: Place, ended: EndedCounts | None = None
    ) -> None:
        """Store the findings of a run by kind, the orders that it could not mend, and the ended orders by state."""
        now = datetime.now(UTC)
        row = {
            **KEYS,
            "At": now,
            "Report": json.dumps(dict(counts)),
            "NotMended": ",".join(not_mended[:MOST_NAMES]),
            "After": place.after or "",
            "Day": place.day.isoformat() if place.day else "",
            "DayAfter": place.day_after or "",
            "HeldAfter": place.held_after or "",
        }
        if ended is not None:
            counted = {"day": ended.day.isoformat(), "states": ended.states, "more": ended.more}
            row |= {"Ended": json.dumps(counted), "CountedAt": now}
        if ended_well(counts):
            row["NotWellSince"] = ""
        elif not (before := self._row() or {}).get("NotWellSince"):
            row["NotWellSince"] = moment(now)
        else:
            row["NotWellSince"] = before["NotWellSince"]
        with storage_faults("the report of the sweep"):
            self._table.upsert_entity(row)

    def place(self) -> Place:
        row = self._row() or {}
        day = date.fromisoformat(row["Day"]) if row.get("Day") else None
        return Place(row.get("After") or None, day, row.get("DayAfter") or None, row.get("HeldAfter") or None)

    def last(self) -> dict[str, Any] | None:
        """When the sweep last ran (ISO 8601) and what it found; None before its first run.

        `not_well_since`: since when each run has left something unmended.
        """
        row = self._row()
        if row is None:
            return None
        since = {"not_well_since": row["NotWellSince"]} if row.get("NotWellSince") else {}
        return {"at": moment(row["At"]), **json.loads(row["Report"]), **since}

    def ended(self) -> dict[str, Any] | None:
        """The last count of a run: `day`, `states` (ended orders by state), `more`, `at`. None before the first."""
        row = self._row() or {}
        return {**json.loads(row["Ended"]), "at": moment(row["CountedAt"])} if row.get("Ended") else None

    def _row(self) -> Mapping[str, Any] | None:
        with storage_faults("the report of the sweep"):
            try:
                return self._table.get_entity(KEYS["PartitionKey"], KEYS["RowKey"])
            except ResourceNotFoundError:
                return None


def ended_well(counts: Mapping[str, int]) -> bool:
    return not (counts.get("not_mended") or counts.get("parts_failed"))
