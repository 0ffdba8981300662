"""A shipping label as the bytes of a PDF: one page of 4 x 6 inches, the size of thermal label printers.

The same input gives the same bytes, so a label that is rendered again is the same label. The tracking number is in
Code 128, in a QR code and in print, so that a scanner of either kind and a person read the same 14 characters.

Text is set in DejaVu Sans, which lies beside this file: the fonts that every PDF reader has print boxes for Łódź and
Ελλάδα. A long address is wrapped and, if need be, set smaller, until it fits; nothing is cut off.

On a void page both symbols are struck through so that no scanner reads them. Everything is black: label printers have
no other ink, and to the red light of a scanner a red stroke is white.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

from reportlab.graphics.barcode.code128 import Code128
from reportlab.graphics.barcode.qr import QrCode
from reportlab.lib.units import inch
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from models.order_parts import StoredAddress

FONT = "DejaVuSans"
FONT_FILE = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"

# All lengths are in points, 72 to the inch; the origin is the lower left corner.
WIDTH, HEIGHT = 4 * inch, 6 * inch
MARGIN = 16.0
INNER = WIDTH - 2 * MARGIN
LEADING = 1.25
LARGEST, SMALLEST, STEP = 18.0, 4.0, 0.5

TOP_TEXT = (HEIGHT - MARGIN - 12, 236.0)  # upper and lower edge
RULES = (228.0, 124.0)
QR_SIZE, QR_BOTTOM = 88.0, 132.0
BESIDE_QR = MARGIN + QR_SIZE + 12
BAR_HEIGHT, BAR_BOTTOM, BAR_WIDTH = 64.0, 46.0, 1.15
STRIKE = 9.0

# reportlab's font reader keeps a position in the font file while it cuts out what a page needs: one page at a time.
_printing = threading.Lock()


def issued_label(recipient: StoredAddress, order_id: str, tracking_number: str) -> bytes:
    """The label to print and stick on. Every text of `recipient` must be `models.order_request.printable`."""
    with _printing:
        page, pdf = _new_page(f"Shipping label {tracking_number}")
        _caption(page, "SHIP TO", MARGIN, HEIGHT - MARGIN - 4)
        _block(page, _address_lines(recipient), MARGIN, INNER, TOP_TEXT)
        _reference(page, order_id, tracking_number)
        return _finished(page, pdf)


def void_label(order_id: str, tracking_number: str) -> bytes:
    """The page that replaces a label: it says VOID, names no recipient, and no scanner reads its symbols."""
    with _printing:
        page, pdf = _new_page(f"Void shipping label {tracking_number}")
        _centred(page, "VOID", 84, 318)
        _centred(page, "This label was cancelled.", 14, 278)
        _centred(page, "Do not ship with it.", 14, 256)
        _reference(page, order_id, tracking_number)
        _strike(page, MARGIN, QR_BOTTOM, QR_SIZE, QR_SIZE)
        bars = _bars(tracking_number)
        _strike(page, _left_of(bars), BAR_BOTTOM, bars.width, BAR_HEIGHT)
        return _finished(page, pdf)


def erased_label(order_id: str, tracking_number: str) -> bytes:
    """The page that replaces a used label when its recipient was erased: the symbols stay, the address is gone."""
    with _printing:
        page, pdf = _new_page(f"Shipping label {tracking_number}")
        _centred(page, "The recipient of this label", 14, 300)
        _centred(page, "was erased.", 14, 278)
        _reference(page, order_id, tracking_number)
        return _finished(page, pdf)


def _new_page(title: str) -> tuple[Canvas, BytesIO]:
    load_font()
    pdf = BytesIO()
    page = Canvas(pdf, pagesize=(WIDTH, HEIGHT), invariant=1)
    page.setTitle(title)
    return page, pdf


@cache
def load_font() -> None:
    """Once: parsing the file takes longer than printing a page."""
    pdfmetrics.registerFont(TTFont(FONT, FONT_FILE))


def _finished(page: Canvas, pdf: BytesIO) -> bytes:
    page.showPage()
    page.save()
    return pdf.getvalue()


def _address_lines(recipient: StoredAddress) -> list[str]:
    street = [recipient.line1] if recipient.line2 is None else [recipient.line1, recipient.line2]
    return [recipient.name, *street, f"{recipient.postal_code} {recipient.city}", recipient.country]


def _reference(page: Canvas, order_id: str, tracking_number: str) -> None:
    """The lower half: both symbols, the number, the order."""
    for height in RULES:
        page.line(MARGIN, height, WIDTH - MARGIN, height)
    QrCode(tracking_number, width=QR_SIZE, height=QR_SIZE, qrLevel="M", qrBorder=4).drawOn(page, MARGIN, QR_BOTTOM)
    bars = _bars(tracking_number)
    bars.drawOn(page, _left_of(bars), BAR_BOTTOM)
    _centred(page, tracking_number, 14, 24)
    _caption(page, "TRACKING NUMBER", BESIDE_QR, 212)
    _block(page, [tracking_number], BESIDE_QR, WIDTH - MARGIN - BESIDE_QR, (210, 188))
    _caption(page, "ORDER", BESIDE_QR, 176)
    _block(page, [order_id], BESIDE_QR, WIDTH - MARGIN - BESIDE_QR, (174, QR_BOTTOM))


def _bars(tracking_number: str) -> Code128:
    """Without the quiet zones of its own: the page is empty beside it."""
    return Code128(tracking_number, barWidth=BAR_WIDTH, barHeight=BAR_HEIGHT, quiet=False)


def _left_of(bars: Code128) -> float:
    """Digits are packed in pairs, so the width of the bars is known only now."""
    return float(WIDTH - bars.width) / 2


def _strike(page: Canvas, left: float, bottom: float, width: float, height: float) -> None:
    """Two thick diagonals: every line that a scanner could take crosses one of them."""
    page.setLineWidth(STRIKE)
    page.line(left, bottom, left + width, bottom + height)
    page.line(left, bottom + height, left + width, bottom)


def _caption(page: Canvas, text: str, left: float, baseline: float) -> None:
    page.setFont(FONT, 6)
    page.drawString(left, baseline, text)


def _centred(page: Canvas, text: str, size: float, baseline: float) -> None:
    page.setFont(FONT, size)
    page.drawCentredString(WIDTH / 2, baseline, text)


def _block(page: Canvas, texts: list[str], left: float, width: float, edges: tuple[float, float]) -> None:
    """The texts below each other, each beginning a line, as large as they fit between the two edges."""
    upper, lower = edges
    size, lines = _largest_fit(texts, width, upper - lower)
    page.setFont(FONT, size)
    for number, line in enumerate(lines, start=1):
        page.drawString(left, upper - number * size * LEADING, line)


def _largest_fit(texts: list[str], width: float, height: float) -> tuple[float, list[str]]:
    for size in _sizes():
        lines = [line for text in texts for line in _wrapped(text, size, width)]
        # The last line's descenders need room below its baseline.
        if (len(lines) + 0.25) * size * LEADING <= height:
            return size, lines
    raise ValueError(f"{sum(map(len, texts))} characters do not fit on a label, not even at {SMALLEST} points")


def _sizes() -> Iterator[float]:
    size = LARGEST
    while size >= SMALLEST:
        yield size
        size -= STEP


def _wrapped(text: str, size: float, width: float) -> Iterable[str]:
    """Break at blanks; inside a word only where it is wider than a whole line."""
    line = ""
    for word in text.split():
        wider = f"{line} {word}" if line else word
        if _fits(wider, size, width):
            line = wider
            continue
        if line:
            yield line
        *full, line = _chopped(word, size, width)
        yield from full
    yield line


def _chopped(word: str, size: float, width: float) -> list[str]:
    pieces = [""]
    for character in word:
        if not _fits(pieces[-1] + character, size, width):
            pieces.append("")
        pieces[-1] += character
    return pieces


def _fits(text: str, size: float, width: float) -> bool:
    return pdfmetrics.stringWidth(text, FONT, size) <= width
