# ruff: noqa: RUF001 - boxes are written in Greek and in Cyrillic too
"""Where parcels can go: the countries that an address may name, and the lines of it that are post-office boxes.

Parcel carriers need a door, so an address line that is a box cannot be delivered to. A refusal that is wrong costs a
sale, so a spelling is listed only if it can hardly mean anything else: words that name a box refuse wherever they stand
in a line; words that are also something else need a number behind them; abbreviations need a number too, stand at the
beginning of the line, and count only in the countries that use them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

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

# Words that name a box in any country. Accents and capitals do not count, nor do dots and hyphens between the words.
BOX_WORDS = (
    *("post office box", "Postfach", "boîte postale", "case postale", "casella postale", "caixa postal"),
    *("apartado postal", "apartado de correos", "apartado aéreo", "casilla de correo", "casilla de correos"),
    *("casilla postal", "skrytka pocztowa", "poštovní přihrádka", "poštový priečinok", "poštanski pretinac"),
    *("poštni predal", "căsuța poștală", "posta kutusu", "ταχυδρομική θυρίδα", "абонентский ящик", "почтовый ящик"),
    *("абонентська скринька", "поштова скринька", "пощенска кутия", "поштански фах"),
)
# Words that may be part of another name ("Postbox Cottage"): they need a number, or stand alone in their line.
NUMBERED_WORDS = (
    *("post box", "postal box", "GPO box", "PO drawer", "locked bag", "private bag", "privaatsak", "posbus", "postbus"),
    *("postboks", "postfack", "postilokero", "pósthólf", "postafiók", "kotak pos", "peti surat", "а/я"),
    *("a/я", "a/ya", "п/я", "Τ.Θ.", "T.Θ."),
)
FRENCH = """
    BE BF BI BJ BL CD CF CG CI CM DJ DZ FR GA GF GN GP GQ HT KM LB LU MA MC MF MG ML MQ MR NC NE PF PM RE RW SN TD TF TG
    TN VU WF YT
"""
# At the beginning of a line, with a number behind them, in these countries.
ABBREVIATIONS = {
    "BP": FRENCH,
    "CP": "AO BR CA CH CV GW IT MZ SM ST VA",
    "PF": "AT CH DE HU LI",
    "PB": "AX FI NO SJ",
    "PL": "AX FI",
    "box": "SE",
    "boks": "NO SJ",
    "PK": "TR",
    "п.к.": "BG",
    "а/с": "UA",
    "PP": "BA HR ME RS",
    "AA": "CO",
    "SLP": "KE TZ",
    "T.Th.": "CY GR",
    # Mexico City has a street of this name.
    "apartado": "AD AR BO CL CO CR CU DO EC ES GT HN NI PA PE PR PT PY SV UY VE",
    "apdo": "AD AR BO CL CO CR CU DO EC ES GT HN MX NI PA PE PR PT PY SV UY VE",
    "casilla": "AR BO CL EC PE PY UY",
    "skrytka": "PL",
}
# "Pob." is short for población and poblado there.
POB_IS_A_PLACE = frozenset({"AD", "ES", "MX", "PH"})
STREETS = "street|st|road|rd|lane|ln|avenue|ave|drive|dr|way|close|court|hill|house|cottage|square|terrace|place|row"


def _folded(text: str) -> str:
    """The text without accents and capitals."""
    apart = unicodedata.normalize("NFKD", text)
    return "".join(character for character in apart if unicodedata.category(character) != "Mn").casefold()


def _words(phrase: str) -> str:
    """A pattern of the phrase, with or without what separates its words. A slash must be there."""
    parts = [re.findall(r"\w+", part) for part in _folded(phrase).split("/")]
    return r"\s*/\s*".join(r"[\s.\-/]*".join(part) for part in parts)


def _any_of(phrases: Iterable[str]) -> str:
    return "|".join(_words(phrase) for phrase in phrases)


BEGINS, ENDS = r"(?<![^\W_])", r"(?![^\W\d_])"  # not in the middle of a word; digits may follow at once
NUMBER = r"[\s.,:°#/\-]*(?:n[or°]?[\s.:°]+)?\d"
NAMED = re.compile(
    rf"{BEGINS}(?:{_any_of(BOX_WORDS)}){ENDS}"
    rf"|{BEGINS}p[\s.,\-/]*[o0][\s.,\-/]*box{ENDS}(?!\s+(?:{STREETS})\b)"
    rf"|{BEGINS}(?:{_any_of(NUMBERED_WORDS)})(?:{NUMBER}|[\s.]*[a-z]\s?\d)"
    rf"|{BEGINS}p\.\s?o\.\s?b\.?{NUMBER}"
    rf"|^\W*(?:{_any_of(NUMBERED_WORDS)})\W*$"
)
POB = re.compile(rf"{BEGINS}pob{NUMBER}")
BARE_BOX = re.compile(rf"^\W*box{NUMBER}+\s?[a-z]?\W*$")


def _abbreviations_by_country() -> dict[str, re.Pattern[str]]:
    used: dict[str, list[str]] = {}
    for abbreviation, countries in ABBREVIATIONS.items():
        for country in countries.split():
            used.setdefault(country, []).append(_letters(abbreviation))
    return {country: re.compile(rf"^\W*(?:{'|'.join(patterns)}){NUMBER}") for country, patterns in used.items()}


def _letters(abbreviation: str) -> str:
    """Capitals may be written apart, "B. P."; a word may not."""
    return _words(" ".join(abbreviation) if abbreviation.isupper() else abbreviation)


BY_COUNTRY = _abbreviations_by_country()


def is_po_box(line1: str, line2: str | None, country: str) -> bool:
    """Whether one of the address lines is a box. A bare "Box 7" counts where nothing else says where the door is."""
    if not line2 and country != "BE" and BARE_BOX.search(_folded(line1)):  # in Belgium it is a flat's letter box
        return True
    return any(_is_box(_folded(line), country) for line in (line1, line2) if line)


def _is_box(line: str, country: str) -> bool:
    if NAMED.search(line) or (country not in POB_IS_A_PLACE and POB.search(line)):
        return True
    abbreviated = BY_COUNTRY.get(country)
    return abbreviated is not None and abbreviated.search(line) is not None
