"""Write the first catalogue: `python -m services.seed catalogue.json`.

Only where the stock table is empty: what a shop has counted since is never overwritten. Reads the app's own settings.
The file: a JSON array of `{"sku", "on_hand", "price_minor", "currency"}`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from models.errors import OrderSagaError
from models.order import InventoryUpdate
from services import storage
from services.table_stock import TableStock


def seed(stock: TableStock, catalogue: Path) -> int:
    """Returns how many SKUs were written: 0 where there was stock already."""
    if not stock.is_empty():
        return 0
    rows = json.loads(catalogue.read_text(encoding="utf-8"))
    for row in rows:
        stock.put(row.pop("sku"), InventoryUpdate.model_validate(row))
    return len(rows)


def main() -> int:
    faults = storage.faults(os.environ)
    if faults or len(sys.argv) != 2:
        sys.stderr.write("\n".join(faults or ["usage: python -m services.seed catalogue.json"]) + "\n")
        return 1
    try:
        count = seed(TableStock(storage.open_table(storage.connect(os.environ), "stock")), Path(sys.argv[1]))
    except OrderSagaError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    sys.stdout.write(f"{count} SKUs written.\n" if count else "There is stock already: nothing written.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
