"""The time of the dashboard's first page with few stored orders and with many; the result is the ratio.

The two are measured in turns, because figures of different moments of a busy machine cannot be compared.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.bench.stage import median
from services import storage
from services.tables.order_index import OPEN, OrderIndex, index_key

UNFINISHED, ROWS_AT_ONCE, TOP = 50, 100, 50


def first_page_ms(connection_string: str, sizes: tuple[int, ...], looks: int) -> dict[int, float]:
    """Milliseconds (median) of a first page, by the number of orders accepted today."""
    account = storage.connect({storage.SETTING: connection_string})
    indexes = {size: _filled(account, size) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(looks):
        for size, index in indexes.items():
            start = time.perf_counter()
            index.front(datetime.now(UTC).date(), TOP)
            times[size].append((time.perf_counter() - start) * 1000)
    return {size: median(samples) for size, samples in times.items()}


def _filled(account: Any, orders: int) -> OrderIndex:
    table = storage.open_table(account, f"bench{secrets.token_hex(6)}")
    now = datetime.now(UTC)
    places = [(OPEN, "needs_attention", UNFINISHED), (now.date().isoformat(), "completed", orders - UNFINISHED)]
    for partition, status, count in places:
        rows = [
            {
                "PartitionKey": partition,
                "RowKey": index_key(now - timedelta(milliseconds=number), f"{status}-{number}"),
                "Status": status,
                "Skus": "CRUNCHY-ARMCHAIR",
            }
            for number in range(count)
        ]
        for first in range(0, count, ROWS_AT_ONCE):
            table.submit_transaction([("create", row) for row in rows[first : first + ROWS_AT_ONCE]])
    return OrderIndex(table)
