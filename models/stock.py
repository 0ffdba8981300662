"""Stock: what one SKU has, and what a `PUT` may set."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from models.money import CURRENCIES, LARGEST
from models.order_request import Model


class StockItem(BaseModel):
    """One SKU as the stock table has it: `on_hand` is the physical count, units reserved for orders included."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    sku: str
    on_hand: int
    reserved: int
    price_minor: int
    currency: str

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class StockEntry(NamedTuple):
    """A SKU, the ETag of this state, and whether a PUT has just created it."""

    item: StockItem
    etag: str
    created: bool = False


class StockPage(NamedTuple):
    """`continuation`, the last SKU of a page, is None at the end."""

    entries: tuple[StockEntry, ...]
    continuation: str | None


class Held(NamedTuple):
    """Ids of orders that hold stock, and the id after which the next read continues; None at the end."""

    order_ids: tuple[str, ...]
    after: str | None


def _charged_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be a currency that Stripe charges: its ISO 4217 code in small letters, such as gbp")
    return code


def _within_the_largest_total(price_minor: int, others: ValidationInfo) -> int:
    """Check a price against its currency, which is read first; a wrong currency is a fault of its own."""
    currency = others.data.get("currency")
    if currency is not None and price_minor > CURRENCIES[currency].maximum:
        raise ValueError(f"must be at most {CURRENCIES[currency].maximum} in {currency}")
    return price_minor


class InventoryUpdate(Model):
    """The body of `PUT /api/inventory/{sku}`."""

    on_hand: Annotated[int, Field(ge=0, le=1_000_000_000)]
    currency: Annotated[str, AfterValidator(_charged_currency), Field(json_schema_extra={"enum": sorted(CURRENCIES)})]
    price_minor: Annotated[int, Field(ge=1, le=LARGEST), AfterValidator(_within_the_largest_total)]
