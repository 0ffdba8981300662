# ruff: noqa: RUF001 - names are written with letters that look like others
"""The label as a printer and a scanner see it: rendered, its symbols decoded, its text read back."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from reportlab.pdfbase.ttfonts import TTFontFile

from models.order_parts import StoredAddress
from models.order_request import printable
from services.label_pdf import FONT_FILE, issued_label, void_label

NUMBER = "7ZK4M9Q2R8T1VW"
LONGEST_ORDER_ID = "W" * 64
LONDON = StoredAddress(name="Ada Lovelace", line1="12 St James Sq", city="London", postal_code="SW1Y 4LB", country="GB")
LODZ = StoredAddress(name="Zażółć Gęśl", line1="ul. Piotrkowska 12", city="Łódź", postal_code="90-001", country="PL")
ATHENS = StoredAddress(name="Ελένη", line1="Ερμού 5", line2="Ελλάδα", city="Αθήνα", postal_code="105 63", country="GR")
KYIV = StoredAddress(name="Лариса Їжак", line1="вул. Хрещатик, 1", city="Київ", postal_code="01001", country="UA")
HANOI = StoredAddress(name="Nguyễn Phượng", line1="Ơ Ư Lạc", city="Đà Nẵng", postal_code="550000", country="VN")
IASI = StoredAddress(name="Ștefan Țepeș", line1="Ș ș Ț ț Ƶ", city="Iași, Kauaʻi", postal_code="700115", country="RO")
WIDEST = StoredAddress(
    name="Ẁ" * 200, line1="WM " * 66 + "W", line2="Ж" * 200, city="Ω" * 200, postal_code="9" * 200, country="PL"
)
ADDRESSES = [LONDON, LODZ, ATHENS, KYIV, HANOI, IASI, WIDEST]


def page_of(pdf: bytes) -> Any:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    return document[0]


def decoded(pdf: bytes, dots_per_inch: int = 203) -> dict[str, str]:
    """Symbology to text, at the resolution of a common label printer."""
    picture = page_of(pdf).render(scale=dots_per_inch / 72).to_pil()
    return {code.format.name: code.text for code in zxingcpp.read_barcodes(picture)}


def text_of(pdf: bytes) -> str:
    return " ".join(str(page_of(pdf).get_textpage().get_text_range()).split())


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.country + address.city[:1])
def test_both_symbols_carry_exactly_the_tracking_number(address: StoredAddress) -> None:
    assert decoded(issued_label(address, "order-1", NUMBER)) == {"Code128": NUMBER, "QRCode": NUMBER}


@pytest.mark.parametrize("number", ["00000000000000", "ZZZZZZZZZZZZZZ", "12345ABCDE6789"])
def test_any_mix_of_digits_and_letters_is_read_back(number: str) -> None:
    assert decoded(issued_label(LONDON, "order-1", number)) == {"Code128": number, "QRCode": number}


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.country + address.city[:1])
def test_the_whole_address_can_be_read_back_in_its_own_letters(address: StoredAddress) -> None:
    text = text_of(issued_label(address, "order-1", NUMBER)).replace(" ", "")
    for part in (address.name, address.line1, address.line2 or "", address.city, address.postal_code, address.country):
        assert part.replace(" ", "") in text


def test_the_label_names_its_order_and_its_tracking_number() -> None:
    text = text_of(issued_label(LONDON, LONGEST_ORDER_ID, NUMBER))
    assert LONGEST_ORDER_ID in text.replace(" ", "")
    assert NUMBER in text


def test_the_page_is_four_by_six_inches() -> None:
    assert page_of(issued_label(LONDON, "order-1", NUMBER)).get_size() == (288, 432)


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.country + address.city[:1])
def test_no_text_runs_off_the_page_or_into_its_neighbour(address: StoredAddress) -> None:
    page = page_of(issued_label(address, LONGEST_ORDER_ID, NUMBER)).get_textpage()
    boxes = [page.get_rect(number) for number in range(page.count_rects())]
    assert all(left >= 10 and bottom >= 10 and right <= 278 and top <= 422 for left, bottom, right, top in boxes)
    assert not [(one, other) for one in boxes for other in boxes if one < other and _overlap(one, other)]


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    return not apart


def test_the_font_has_a_glyph_for_every_character_that_the_edge_lets_in() -> None:
    glyphs = TTFontFile(FONT_FILE).charToGlyph
    let_in = [code for code in range(sys.maxunicode + 1) if printable(chr(code))]
    assert len(let_in) > 900
    assert [f"U+{code:04X}" for code in let_in if not glyphs.get(code)] == []


# The blocks of the three scripts that the font has as a whole, or all but a few letters of.
BLOCKS = {
    "Basic Latin to Latin Extended-B": (0x0000, 0x024F),
    "IPA Extensions": (0x0250, 0x02AF),
    "Spacing Modifier Letters": (0x02B0, 0x02FF),
    "Greek and Coptic": (0x0370, 0x03FF),
    "Cyrillic and its supplement": (0x0400, 0x052F),
    "Latin Extended Additional": (0x1E00, 0x1EFF),
    "Greek Extended": (0x1F00, 0x1FFF),
    "Latin Extended-C": (0x2C60, 0x2C7F),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_edge_lets_in_every_character_of_a_script_that_the_font_has(block: str) -> None:
    glyphs, (first, last) = TTFontFile(FONT_FILE).charToGlyph, BLOCKS[block]
    had = [code for code in range(first, last + 1) if glyphs.get(code) and unicodedata.category(chr(code)) != "Cf"]
    assert [f"U+{code:04X}" for code in had if not printable(chr(code))] == []


def test_the_font_travels_with_its_licence() -> None:
    licence = (FONT_FILE.parent / "LICENSE-DejaVu.txt").read_text()
    assert "Permission is hereby granted" in licence
    assert "Bitstream" in licence


def test_the_same_label_is_the_same_bytes() -> None:
    assert issued_label(LODZ, "order-1", NUMBER) == issued_label(LODZ, "order-1", NUMBER)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.slow
@pytest.mark.usefixtures("restless")
def test_labels_that_are_printed_at_once_do_not_mix() -> None:
    several = [LODZ, ATHENS, KYIV] * 40
    with ThreadPoolExecutor(8) as pool:
        printed = list(pool.map(lambda address: issued_label(address, "order-1", NUMBER), several))
    assert printed == [issued_label(address, "order-1", NUMBER) for address in several]


@pytest.mark.parametrize("number", [NUMBER, "00000000000000"])
@pytest.mark.parametrize("dots_per_inch", [150, 203, 300])
def test_a_void_label_says_so_and_no_scanner_reads_it(number: str, dots_per_inch: int) -> None:
    void = void_label("order-1", number)
    assert decoded(void, dots_per_inch) == {}
    assert text_of(void).startswith("VOID")
    assert {"order-1", number} <= set(text_of(void).split())


def test_a_void_label_needs_no_colour() -> None:
    picture = page_of(void_label("order-1", NUMBER)).render(scale=1).to_pil().convert("RGB")
    assert all(red == green == blue for _, (red, green, blue) in picture.getcolors(1 << 24))
