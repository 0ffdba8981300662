"""An order: as a client sends it, and as our own record keeps it.

`OrderRequest` is the public edge: strict (no coercion), closed (unknown fields are refused), and each limit is written
beside its field. `OrderRecord` is what the steps read. Personal data lives in these two alone; a durable history
carries an order's id and amounts.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from models.money import CURRENCIES, LARGEST_STORED

# ISO 3166-1 alpha-2, officially assigned codes.
COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO
    JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR
    MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO
    RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV
    TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()
)

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


ORDER_ID_PATTERN = r"^[A-Za-z0-9-]{1,64}$"
SKU_PATTERN = r"^[A-Z0-9-]{1,64}$"
# The shape that HTML gives an e-mail address. Whether it exists is for the mail server to say.
EMAIL_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"

OrderId = Annotated[str, StringConstraints(pattern=ORDER_ID_PATTERN)]
Sku = Annotated[str, StringConstraints(pattern=SKU_PATTERN)]
Currency = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain_text)]
LabelText = Annotated[Text, AfterValidator(_label_text)]


class Model(BaseModel):
    """Strict, closed, immutable, and silent about its input when it complains."""

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
    line2: LabelText | None = None
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


class Total(Model):
    """Money: whole minor units (pence, cents) and a lower-case ISO 4217 currency."""

    amount_minor: int
    currency: Currency


class Line(Model):
    """One line of an order with the price that validation fixed for it."""

    sku: Sku
    quantity: int
    price_minor: int


class StockItem(BaseModel):
    """One SKU: `on_hand` is the physical count, units reserved for orders included.

    As its row has it: older code took prices and currencies that a PUT of today refuses.
    """

    model_config = ConfigDict(frozen=True)

    sku: str
    on_hand: int
    reserved: int
    price_minor: int
    currency: str

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class Shelf(NamedTuple):
    """A SKU as it stands, with the ETag that names this very state, and whether a PUT has just created it."""

    item: StockItem
    etag: str
    created: bool = False


def _charged_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be a currency that Stripe charges: its ISO 4217 code in small letters, such as gbp")
    return code


class InventoryUpdate(Model):
    """The body of `PUT /api/inventory/{sku}`."""

    on_hand: Annotated[int, Field(ge=0, le=1_000_000_000)]
    price_minor: Annotated[int, Field(ge=1, le=LARGEST_STORED)]
    currency: Annotated[str, AfterValidator(_charged_currency), Field(json_schema_extra={"enum": sorted(CURRENCIES)})]

    @model_validator(mode="after")
    def _price_within_the_largest_total(self) -> Self:
        largest = CURRENCIES[self.currency].maximum
        if self.price_minor > largest:
            too_large = PydanticCustomError("price_too_large", f"must be at most {largest} in {self.currency}")
            wrong = InitErrorDetails(type=too_large, loc=("price_minor",), input=self.price_minor)
            raise ValidationError.from_exception_data("InventoryUpdate", [wrong])
        return self


class Reason(Model):
    """Who asked an operator's action to be taken, and why: what the audit trail keeps of it."""

    by: Text
    reason: Text


class Evidence(Reason):
    """The body of `POST …/resolve`: `reference` names the proof, such as the bank's own number of a transfer."""

    reference: Text


def _absent_when_blank(text: object) -> object:
    """A form sends a field that nobody filled in as an empty text."""
    return None if isinstance(text, str) and not text.strip() else text


class Decision(Model):
    """The body of `POST /api/orders/{id}/approval`."""

    approved: bool
    approver: Text
    comment: Annotated[Text | None, BeforeValidator(_absent_when_blank)] = None


class Approval(Model):
    """What an order over the threshold waits for: a decision about `total`, at most until `deadline`.

    `asked` numbers the saga's waits: each has an event name of its own.
    """

    deadline: AwareDatetime
    total: Total
    asked: int = 1
    verdict: Literal["approved", "rejected", "expired"] | None = None
    approver: str | None = None
    comment: str | None = None

    @property
    def wake(self) -> str:
        """The event that the saga waits for now."""
        return f"decision:{self.asked}"


RecordState = Literal[
    "accepted",
    "running",
    "awaiting_approval",
    "compensating",
    "needs_attention",
    "completed",
    "rejected",
    "compensated",
    "cancelled",
]
FINAL_STATES = frozenset({"completed", "rejected", "compensated", "cancelled"})


class OrderRecord(Model):
    """The order as our own table holds it: what decides duplicates, cancels and approvals, and all that the steps need.

    `confirmation` is the point of no return: `sending` before the mail is handed over, `sent` after. `undoing` is set
    by the first undo and never taken back: from then on no step may act. `request` is None when its personal data was
    erased. `stored` is the row as it was read, with its ETag: the very state that a change may be tried on first.
    """

    order_id: OrderId
    state: RecordState
    body_hash: str
    accepted_at: AwareDatetime
    request: OrderRequest | None
    lines: tuple[Line, ...] = ()
    total: Total | None = None
    payment_intent_id: str | None = None
    payment_wake: str | None = None
    charged_minor: int = 0
    refund_id: str | None = None
    refunded_minor: int = 0
    goods: Literal["reserved", "sold", "released"] | None = None
    tracking_number: str | None = None
    confirmation: Literal["sending", "sent"] | None = None
    farewell: Literal["claimed"] | None = None
    cancel_requested: bool = False
    approval: Approval | None = None
    undoing: dict[str, Any] | None = None
    resolved: dict[str, Evidence] = {}
    attention: int = 0
    healed: int = 0
    outcome: dict[str, Any] | None = None
    stored: dict[str, Any] = Field(default={}, exclude=True, repr=False)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def can_be_cancelled(self) -> bool:
        """Until the confirmation has claimed the order, unless it is undone already."""
        return not (self.is_final or self.undoing is not None or self.confirmation)

    def contents(self) -> OrderRequest:
        """What the client sent. Asking after it was erased is a fault of the caller: the order is final."""
        if self.request is None:
            raise ValueError(f"the personal data of order {self.order_id} was erased")
        return self.request

    def priced_total(self) -> Total:
        """The total that validation fixed. Asking before it did is a fault of the caller."""
        if self.total is None:
            raise ValueError(f"order {self.order_id} has no total yet: validate_order fixes it")
        return self.total


class IndexEntry(NamedTuple):
    """One order as the index by day knows it. `key` is its row key: the continuation after it."""

    key: str
    order_id: str
    status: str
    skus: tuple[str, ...]
    accepted_at: datetime
    amount_minor: int | None
    currency: str | None


class Page(NamedTuple):
    """`continuation` is None at the end."""

    entries: tuple[IndexEntry, ...]
    continuation: str | None


class Acceptance(NamedTuple):
    """What became of an order at the door: `inserted` is true for exactly one POST of an order id, ever."""

    inserted: bool
    record: OrderRecord
