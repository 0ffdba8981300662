"""What clients and operators send: the request bodies of the API.

Strict (no coercion), closed (unknown fields are refused), and each limit is written beside its field. What is stored of
an order is read by a tolerant model of its own (`models.order_record`), so a rule that becomes stricter here leaves the
orders in flight alone.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from models.delivery_address import COUNTRIES

# What the label's font prints: Latin, Greek and Cyrillic with their punctuation. A test draws every one of them.
PRINTABLE_RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x1E00, 0x1E9E), (0x370, 0x3FF), (0x400, 0x525), (0x2010, 0x2026))


def printable(character: str) -> bool:
    """Whether the label's font prints this one character."""
    code = ord(character)
    assigned = unicodedata.category(character) not in {"Cn", "Cf"}
    return assigned and any(low <= code <= high for low, high in PRINTABLE_RANGES)


def _plain_text(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in text):
        raise ValueError("must not contain control characters")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _label_text(text: str) -> str:
    for character in text:
        if not printable(character):
            raise ValueError(f"the character {character!r} (U+{ord(character):04X}) cannot be printed on a label")
    return text


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("must be an ISO 3166 alpha-2 code such as GB")
    return code


def _absent_when_blank(text: object) -> object:
    """A form sends a field that nobody filled in as an empty text."""
    return None if isinstance(text, str) and not text.strip() else text


ORDER_ID_PATTERN = r"^[A-Za-z0-9-]{1,64}$"
SKU_PATTERN = r"^[A-Z0-9-]{1,64}$"
# The shape that HTML gives an e-mail address. Whether it exists is for the mail server to say.
EMAIL_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"

OrderId = Annotated[str, StringConstraints(pattern=ORDER_ID_PATTERN)]
Sku = Annotated[str, StringConstraints(pattern=SKU_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain_text)]
LabelText = Annotated[Text, AfterValidator(_label_text)]
AbsentWhenBlank = BeforeValidator(_absent_when_blank)


class Model(BaseModel):
    """Strict, closed and immutable. Its errors do not quote the input."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Customer(Model):
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]{1,100}$")]
    name: Text
    email: Annotated[str, StringConstraints(max_length=200, pattern=EMAIL_PATTERN)]


class Item(Model):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=10_000)]


class Address(Model):
    name: LabelText
    line1: LabelText
    line2: Annotated[LabelText | None, AbsentWhenBlank] = None
    city: LabelText
    postal_code: LabelText
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(_country)]


class OrderRequest(Model):
    """The body of `POST /api/orders`."""

    order_id: OrderId | None = None
    customer: Customer
    items: Annotated[list[Item], Field(min_length=1, max_length=50)]
    payment_method: Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,64}$")]
    shipping_address: Address

    @model_validator(mode="after")
    def _each_sku_once(self) -> Self:
        skus = [item.sku for item in self.items]
        repeated = sorted({sku for sku in skus if skus.count(sku) > 1})
        if repeated:
            raise ValueError(f"items: each sku may appear once; repeated: {', '.join(repeated)}")
        return self

    def body_hash(self) -> str:
        """SHA-256 (hex) of the canonical body: the same order hashes the same, however it was spelled.

        The id is left out (the header may carry it), the lines are sorted, and absent options do not count, so that a
        field added later leaves the hashes of today's orders alone.
        """
        body = self.model_dump(mode="json", exclude={"order_id"}, exclude_none=True)
        body["items"].sort(key=lambda item: item["sku"])
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Reason(Model):
    """Who requested an operator's action, and why. The audit trail keeps both."""

    by: Text
    reason: Text


class Evidence(Reason):
    """The body of `POST …/resolve`: `reference` names the proof, such as the bank's own number of a transfer."""

    reference: Text


class Remark(Model):
    """Who requests it and why. Both are optional: `POST …/cancel`, `DELETE …/personal-data`."""

    by: Annotated[Text | None, AbsentWhenBlank] = None
    reason: Annotated[Text | None, AbsentWhenBlank] = None


class Decision(Model):
    """The body of `POST /api/orders/{id}/approval`."""

    approved: bool
    approver: Text
    comment: Annotated[Text | None, AbsentWhenBlank] = None
