"""The request bodies of the API, from clients and operators.

Strict (no coercion), closed (unknown fields are refused), and each limit is written beside its field. What is stored of
an order is read by a tolerant model of its own (`models.order_record`), so a rule that becomes stricter here leaves the
orders in flight alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails

from models.delivery_address import COUNTRIES

# What the label's font prints: Latin, Greek and Cyrillic with the signs and marks that names and addresses are written
# with. Whole blocks of Unicode, as far as the font has them; a test compares each with the font, in both directions.
PRINTABLE_RANGES = (
    (0x0020, 0x007E),  # Basic Latin
    (0x00A0, 0x024F),  # Latin-1 Supplement, Latin Extended-A and B: Romanian, Pinyin, Vietnamese ơ and ư
    (0x0250, 0x02AF),  # IPA Extensions, of which West African alphabets take letters: ɛ, ɔ, ɗ
    # Spacing Modifier Letters: the Hawaiian okina, the apostrophe of Breton and Ukrainian names.
    *((0x02B0, 0x02E9), (0x02EC, 0x02EE), (0x02F3, 0x02F3), (0x02F7, 0x02F7)),
    (0x0370, 0x03FF),  # Greek and Coptic
    (0x0400, 0x0525),  # Cyrillic, and what the font has of its supplement
    (0x1E00, 0x1EFB),  # Latin Extended Additional: Vietnamese
    (0x1F00, 0x1FFE),  # Greek Extended
    (0x2010, 0x2027),  # General Punctuation
    (0x20A0, 0x20B5),  # Currency Symbols
    *((0x2C60, 0x2C77), (0x2C79, 0x2C7F)),  # Latin Extended-C
    (0x2116, 0x2116),  # №, before the number of a house or a flat
)
# Characters that are not seen and change how a text is read: control, format and separator characters, half emojis.
# https://www.unicode.org/reports/tr36/ (bidirectional overrides in texts that others read).
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
JOINERS = "\u200c\u200d"
"""Persian names and those in Indic scripts are spelled with them."""


def printable(character: str) -> bool:
    """Whether the label's font prints this one character."""
    code = ord(character)
    assigned = unicodedata.category(character) not in {"Cn", "Cf"}
    return assigned and any(low <= code <= high for low, high in PRINTABLE_RANGES)


def _seen_text(text: str, besides: str = "") -> str:
    """Composed (NFC), and without a character that is not seen, except those of `besides`."""
    text = unicodedata.normalize("NFC", text)
    for character in text:
        if unicodedata.category(character) in UNSEEN and character not in besides:
            raise ValueError(f"must not contain the control or invisible character U+{ord(character):04X}")
    if not "".join(character for character in text if character not in besides).strip():
        raise ValueError("must not be blank")
    return text


def _plain_text(text: str) -> str:
    return _seen_text(text)


def _name(text: str) -> str:
    return _seen_text(text, JOINERS)


def _label_text(text: str) -> str:
    for character in text:
        if not printable(character):
            raise ValueError(_unprintable(character))
    return text


def _unprintable(character: str) -> str:
    code = f"U+{ord(character):04X}"
    if unicodedata.combining(character):
        return f"the accent {code} cannot be printed on a label: no single character has it and its letter"
    return f"the character {character!r} ({code}) cannot be printed on a label: it is not Latin, Greek or Cyrillic"


def _mailbox(address: str) -> str:
    if address.index("@") > LONGEST_MAILBOX:
        raise ValueError(f"must have at most {LONGEST_MAILBOX} characters before the @")
    if ENCODED_WORD in address:
        raise ValueError(f"must not contain {ENCODED_WORD}")
    return address


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("must be an ISO 3166 alpha-2 code in capital letters, such as GB")
    return code


def _absent_when_blank(text: object) -> object:
    """A form sends an empty field as an empty text."""
    return None if isinstance(text, str) and not text.strip() else text


ORDER_ID_PATTERN = r"^[A-Za-z0-9-]{1,64}$"
# Any id that can be a key in storage can be looked up, so a stricter rule for new ids hides no older order.
LOOKUP_PATTERN = r"[^/\\#?\x00-\x1f\x7f-\x9f]{1,255}"
SKU_PATTERN = r"^[A-Z0-9-]{1,64}$"
# The shape that mail servers take (RFC 5321): words with dots between them, and a domain of labels. Whether the address
# exists is for the mail server to say.
MAIL_WORD, MAIL_LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL_PATTERN = rf"^{MAIL_WORD}(\.{MAIL_WORD})*@{MAIL_LABEL}(\.{MAIL_LABEL})+$"
LONGEST_MAILBOX = 64
# It begins an encoded word (RFC 2047), which is no part of an address.
ENCODED_WORD = "=?"

CUSTOMER_ID_PATTERN = r"^[A-Za-z0-9_.@-]{1,100}$"
PAYMENT_METHOD_PATTERN = r"^pm_[A-Za-z0-9_]{1,64}$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
MOST_LINES = 50

OrderId = Annotated[str, StringConstraints(pattern=ORDER_ID_PATTERN)]
Sku = Annotated[str, StringConstraints(pattern=SKU_PATTERN)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[ShortText, AfterValidator(_plain_text)]
Name = Annotated[ShortText, AfterValidator(_name)]
LabelText = Annotated[Text, AfterValidator(_label_text)]
AbsentWhenBlank = BeforeValidator(_absent_when_blank)


class Model(BaseModel):
    """Strict, closed and immutable. Its errors do not quote the input."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Customer(Model):
    id: Annotated[str, StringConstraints(pattern=CUSTOMER_ID_PATTERN)]
    name: Name
    email: Annotated[str, StringConstraints(max_length=200, pattern=EMAIL_PATTERN), AfterValidator(_mailbox)]


class Item(Model):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=10_000)]


class Address(Model):
    name: LabelText
    line1: LabelText
    line2: Annotated[LabelText | None, AbsentWhenBlank] = None
    city: LabelText
    postal_code: LabelText
    country: Annotated[str, StringConstraints(pattern=COUNTRY_PATTERN), AfterValidator(_country)]


def _each_sku_once(lines: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Raises with the faults of the lines themselves and with each repetition, so that one answer names them all."""
    faults: list[InitErrorDetails] = []
    try:
        items = validate(lines)
    except ValidationError as invalid:
        faults = [
            InitErrorDetails(type=error["type"], loc=error["loc"], input=error["input"], ctx=error.get("ctx", {}))
            for error in invalid.errors(include_url=False)
        ]
    faults += _repetitions(lines)
    if faults:
        raise ValidationError.from_exception_data("items", faults, "json", hide_input=True)
    return items


def _repetitions(lines: Any) -> Iterator[InitErrorDetails]:
    """A fault for each line that has the sku of a line before it."""
    seen: set[str] = set()
    for number, line in enumerate(lines if isinstance(lines, list) and len(lines) <= MOST_LINES else ()):
        sku = line.get("sku") if isinstance(line, dict) else None
        if not isinstance(sku, str) or not re.match(SKU_PATTERN, sku):
            continue
        if sku in seen:
            error = {"error": ValueError(f"each sku may appear once, and {sku} stands in a line before this one")}
            yield InitErrorDetails(type="value_error", loc=(number, "sku"), input=sku, ctx=error)
        seen.add(sku)


class OrderRequest(Model):
    """The body of `POST /api/orders`."""

    order_id: OrderId | None = None
    customer: Customer
    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_LINES), WrapValidator(_each_sku_once)]
    payment_method: Annotated[str, StringConstraints(pattern=PAYMENT_METHOD_PATTERN)]
    shipping_address: Address

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
