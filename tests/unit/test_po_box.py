# ruff: noqa: RUF001 - the boxes of Greece, Russia and their neighbours
"""Which address lines are a post-office box, and which only look like one."""

from __future__ import annotations

import pytest

from models.delivery_address import is_po_box

BOXES = [
    *[
        (line, "GB")
        for line in ("PO Box 7", "P.O. Box 7", "P.O.Box 7", "P. O. Box: 7", "p o box 7", "POBox7", "PO-Box 7")
    ],
    *[(line, "US") for line in ("P.O Box 12-34", "P/O Box 9", "po. box", "PO BOX", "P0 Box 3", "Post Office Box 12")],
    *[
        (line, "US")
        for line in ("12 Main St, PO Box 5", "(PO Box 9)", "PO Box CR54", "POB 12", "P.O.B. 12", "PO Drawer 3")
    ],
    *[(line, "KE") for line in ("P.O. Box 12, Nairobi", "S.L.P. 12")],
    *[(line, "AU") for line in ("GPO Box 4", "Locked Bag 12", "Post Box 5", "Private Bag 3")],
    *[(line, "ZA") for line in ("Private Bag X12", "Posbus 12", "Privaatsak X12")],
    *[
        (line, "DE")
        for line in ("Postfach", "Postfach 10 20 30", "POSTFACH: 12", "PF 1234", "Bahnhofstr. 1, Postfach 5")
    ],
    *[(line, "CH") for line in ("Postfach", "Case postale 3", "CP 12", "C.P. 12")],
    *[(line, "FR") for line in ("Boîte postale 3", "Boite Postale", "BP 123", "B.P. 123", "bp123", "B. P. n° 45")],
    *[(line, "SN") for line in ("BP 123", "BP: 123 Dakar")],
    *[(line, "IT") for line in ("Casella postale 3", "CASELLA POSTALE", "C.P. 12", "cp 12")],
    *[(line, "ES") for line in ("Apartado 123", "Apartado de correos 3", "Apartado nº 5", "Apdo. 12", "Apdo 12")],
    *[(line, "MX") for line in ("Apartado postal", "Apartado Postal 12", "Apdo. 12")],
    *[(line, "PT") for line in ("Apartado 12", "APARTADO 1234 EC Centro")],
    *[(line, "CO") for line in ("Apartado aéreo 12", "A.A. 123")],
    *[(line, "CL") for line in ("Casilla 12", "Casilla postal 12", "Casilla de correos 12")],
    *[(line, "BR") for line in ("Caixa Postal 3", "CP 123")],
    *[(line, "PL") for line in ("skrytka pocztowa 5", "Skrytka Pocztowa nr 5", "skrytka 5", "PO Box Canary")],
    *[(line, "NL") for line in ("Postbus 123", "postbus 5", "Postbus")],
    *[(line, "NO") for line in ("Postboks 12", "Boks 12", "Pb. 12", "Postboks 12 Sentrum")],
    *[(line, "DK") for line in ("Postboks 12", "Postboks #12")],
    *[(line, "SE") for line in ("Box 12", "Box 12, Kungsgatan", "Postbox 12", "Postfack 12")],
    *[(line, "FI") for line in ("PL 12", "PB 12", "Postilokero 12")],
    *[(line, "IS") for line in ("Pósthólf 12", "pósthólf 3")],
    *[(line, "HU") for line in ("Postafiók 12", "Pf. 12", "Pf.: 12")],
    *[(line, "CZ") for line in ("Poštovní přihrádka 12", "P.O. BOX 12")],
    *[(line, "HR") for line in ("Poštanski pretinac 12", "p.p. 12")],
    *[(line, "TR") for line in ("Posta Kutusu 12", "P.K. 12", "PK 12")],
    *[
        (line, "RU")
        for line in ("а/я 12", "А/Я 12", "а / я № 12", "a/я 12", "a/ya 12", "Абонентский ящик 12", "п/я 12")
    ],
    *[(line, "UA") for line in ("а/с 12", "Абонентська скринька 12", "а/я 12")],
    *[(line, "BG") for line in ("п.к. 12", "Пощенска кутия 12")],
    *[
        (line, "GR")
        for line in ("Τ.Θ. 12", "T.Θ. 12", "ΤΘ 12", "Τ. Θ. 12", "Ταχυδρομική Θυρίδα 5", "ταχυδρομικη θυριδα")
    ],
    *[(line, "CY") for line in ("Τ.Θ. 12", "T.Th. 12", "P.O. Box 12")],
]
DOORS = [
    *[
        (line, "GB")
        for line in ("Boxwood Road 5", "5 Boxwood Road", "Pobox Street", "Pobox Street 5", "PO Boxwood Lane 3")
    ],
    *[
        (line, "GB")
        for line in ("BP petrol station road", "BP 12 Forecourt", "12 Box Hill Road", "Box Hill", "Unit 5 Box")
    ],
    *[
        (line, "GB")
        for line in ("Postbox Cottage", "Post Box Lane 5", "The Old Post Office, 5 High St", "Post Office Lane 5")
    ],
    *[
        (line, "GB")
        for line in ("Shop O, Boxer Street 5", "Tobox 5", "1 Private Road", "Pobjoy House 5", "5 Mailbox Row")
    ],
    *[(line, "US") for line in ("RR 1 Box 12", "HC 2 Box 5", "PMB 12", "CP 12 Road", "12 PO St", "Apt BP 12")],
    *[
        (line, "DE")
        for line in ("Postfachstraße 3", "Postbahnhof 12", "Packstation 101", "BP Tankstelle 5", "Pfarrgasse 5")
    ],
    *[(line, "BE") for line in ("Kerkstraat 5 bus 12", "Rue Haute 5 boîte 12", "Box 12", "Rue Haute 5 box 12")],
    *[(line, "NL") for line in ("Postweg 5", "Oude Postbuslaan 5", "Boxbergen 3")],
    *[
        (line, "FR")
        for line in ("CP 75001", "12 rue Hugo, BP 45", "Rue de la Boîte 12", "Rue Postale 5", "PL 5 rue Haute")
    ],
    *[(line, "IT") for line in ("Via Po 12", "Lungo Po 3", "Corso Po 3 Box 4", "Via Casella 12", "Casilla 5")],
    *[(line, "ES") for line in ("CP 28001", "Apartamento 5", "Calle del Apartado 25", "Pob. 5", "Pl. Mayor 5")],
    *[(line, "MX") for line in ("Calle del Apartado 25", "Apartado 25", "C.P. 06000", "Pob. 5")],
    *[(line, "PH") for line in ("Pob. 5, Cotabato", "Brgy Pob 5")],
    *[(line, "PL") for line in ("Pl. 5 Maja 3", "ul. Skrytkowa 5", "ul. Pocztowa 5")],
    *[(line, "SE") for line in ("Boxvägen 3", "Boxholmsgatan 12", "Kungsgatan 3 box")],
    *[(line, "NO") for line in ("Boksveien 12", "Pb-veien", "Postveien 5")],
    *[(line, "HU") for line in ("Bp. 5", "Posta utca 5")],
    *[(line, "RO") for line in ("CP 010101", "Strada Poștei 5")],
    *[(line, "RU") for line in ("ул. А. Яшина 5", "А. Я. 5", "проспект Победы 12", "Почтовая ул. 5")],
    *[(line, "GR") for line in ("Τ. Θεοδωράκη 5", "Θησέως 12", "Οδός Ταχυδρομική 5")],
    *[(line, "BG") for line in ("П. Яворов 5", "Плиска 5")],
]


@pytest.mark.parametrize(("line", "country"), BOXES)
def test_a_box_is_known_in_either_line(line: str, country: str) -> None:
    assert is_po_box(line, None, country)
    assert is_po_box("12 Long Road", line, country)


@pytest.mark.parametrize(("line", "country"), DOORS)
def test_a_door_is_not_taken_for_a_box(line: str, country: str) -> None:
    assert not is_po_box(line, None, country)
    assert not is_po_box("12 Long Road", line, country)


def test_a_number_of_a_box_without_a_street_is_a_box_and_with_a_street_is_a_letter_box() -> None:
    assert [is_po_box(line, None, "US") for line in ("Box 12", "BOX #12", "Box 12 A", "Box no. 12")] == [True] * 4
    assert not is_po_box("12 College Ave", "Box 12", "US")
    assert not is_po_box("Box 12", "12 College Ave", "US")


def test_an_abbreviation_counts_only_where_it_is_used() -> None:
    assert [country for country in ("FR", "SN", "GB", "US", "DE") if is_po_box("BP 123", None, country)] == ["FR", "SN"]
    assert [country for country in ("FI", "PL", "ES", "GB") if is_po_box("PL 12", None, country)] == ["FI"]
