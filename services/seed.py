"""Write the first catalogue: `python -m services.seed catalogue.json`.

It writes only into an empty stock table, so it never overwrites what a shop has counted. It reads the app's settings.
The file: a JSON array of `{"sku", "on_hand", "price_minor", "currency"}`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import OrderSagaError
from models.sentences import sentence_of
from models.stock import InventoryUpdate
from services import storage
from services.tables.table_stock import TableStock


class WrongRow(ValueError):
    """A row that a PUT of stock would refuse. The message names the SKU and what is wrong with it."""


def seed(stock: TableStock, catalogue: Path) -> int:
    """Returns how many SKUs were written: 0 if there was stock already. Writes nothing if one row is wrong.

    Raises OSError, or ValueError, TypeError, KeyError or AttributeError for a file that is no catalogue.
    """
    if not stock.is_empty():
        return 0
    rows = json.loads(catalogue.read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise TypeError("A catalogue is a list.")
    updates = [_update(row) for row in rows]
    for sku, update in updates:
        stock.put(sku, update)
    return len(updates)


def _update(row: dict[str, Any]) -> tuple[str, InventoryUpdate]:
    """Raises WrongRow."""
    sku = row.pop("sku")
    try:
        return sku, InventoryUpdate.model_validate(row)
    except ValidationError as invalid:
        errors = [f"{'.'.join(map(str, error['loc']))} {sentence_of(error)}" for error in invalid.errors()]
        raise WrongRow(f" The row of {sku} is wrong: {'; '.join(errors)}.") from None


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
    except OSError as fault:
        sys.stderr.write(f"{sys.argv[1]} cannot be read ({fault.strerror}): put the catalogue back.\n")
        return 1
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        row = fault if isinstance(fault, WrongRow) else ""
        message = f"{sys.argv[1]} is no catalogue: a JSON array of sku, on_hand, price_minor and currency.{row}\n"
        sys.stderr.write(message)
        return 1
    sys.stdout.write(f"{count} SKUs written.\n" if count else "There is stock already: nothing written.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
