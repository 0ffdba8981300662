"""The parts of an order's record, each read tolerantly.

A rule of the API that has become stricter, or a field that was added or removed, must not keep an order in flight from
being cancelled, refunded, closed, listed or erased.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from models.money import Total


class Stored(BaseModel):
    """Read tolerantly: what another version of this code wrote must not break an order in flight."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


class StoredCustomer(Stored):
    id: str = ""
    name: str = ""
    email: str = ""


class StoredItem(Stored):
    sku: str
    quantity: int


class StoredAddress(Stored):
    name: str = ""
    line1: str = ""
    line2: str | None = None
    city: str = ""
    postal_code: str = ""
    country: str = ""


class Contents(Stored):
    """The client's data in the form that the steps need."""

    customer: StoredCustomer = StoredCustomer()
    items: tuple[StoredItem, ...] = ()
    payment_method: str = ""
    shipping_address: StoredAddress = StoredAddress()


class Line(Stored):
    """One line of an order with the price that validation fixed for it."""

    sku: str
    quantity: int
    price_minor: int


class Approval(Stored):
    """The wait of an order over the threshold for a decision about `total`, at most until `deadline`.

    `asked` numbers the saga's waits: each has an event name of its own. `verdict` is None, `approved`, `rejected` or
    `expired`.
    """

    deadline: AwareDatetime
    total: Total
    asked: int = 1
    verdict: str | None = None
    approver: str | None = None
    comment: str | None = None

    @property
    def wake(self) -> str:
        """The event that the saga waits for now."""
        return f"decision:{self.asked}"
