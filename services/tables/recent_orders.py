"""The order records that this process has lately read or written, each by its ETag.

A saga's activities follow one another within milliseconds, most of them in one process. If no other writer comes in
between, the next activity would read what the last one wrote. So that record is remembered under its ETag, and only a
caller that knows the ETag gets it. It may be out of date. Then the caller's write finds another ETag, and the record is
read.

Rejected: remembering by the order's id alone. Another process may have moved the order on since, and a step would act
on lines, totals or a direction that were never so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from models.order_record import OrderRecord

# About 3 KB each. Orders beyond are read again.
REMEMBERED = 512


class RecentOrders:
    """Bounded, in memory, for unfinished orders. Safe to share between threads."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._records: OrderedDict[str, OrderRecord] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, record: OrderRecord) -> None:
        """Remember this state of an order, in place of an earlier one. An ended order is forgotten with its data."""
        with self._lock:
            self._records.pop(record.order_id, None)
            if not record.is_final:
                self._records[record.order_id] = record
            if len(self._records) > self._limit:
                self._records.popitem(last=False)

    def recall(self, order_id: str, etag: str) -> OrderRecord | None:
        """The record in exactly the state of this ETag, as a guess."""
        with self._lock:
            record = self._records.get(order_id)
        return record.model_copy(update={"is_guess": True}) if record is not None and record.etag == etag else None
