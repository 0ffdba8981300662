"""Stock: what one SKU has, and what a `PUT` may set."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

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


class InventoryUpdate(Model):
    """The body of `PUT /api/inventory/{sku}`."""

    on_hand: Annotated[int, Field(ge=0, le=1_000_000_000)]
    price_minor: Annotated[int, Field(ge=1, le=LARGEST)]
    currency: Annotated[str, AfterValidator(_charged_currency), Field(json_schema_extra={"enum": sorted(CURRENCIES)})]

    @model_validator(mode="after")
    def _price_within_the_largest_total(self) -> Self:
        largest = CURRENCIES[self.currency].maximum
        if self.price_minor > largest:
            too_large = PydanticCustomError("price_too_large", f"must be at most {largest} in {self.currency}")
            wrong = InitErrorDetails(type=too_large, loc=("price_minor",), input=self.price_minor)
            raise ValidationError.from_exception_data("InventoryUpdate", [wrong])
        return self
