"""A shipping label, as it is stored."""

from __future__ import annotations

from typing import NamedTuple


class Label(NamedTuple):
    """`status`: `issued`, `void` or `erased`; only an issued one may be printed."""

    status: str
    pdf: bytes
