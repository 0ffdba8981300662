"""`BlobLabels` against a real blob container: one label an order, and void is final."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from azure.storage.blob import BlobClient, ContainerClient

from models.errors import Refused, Unavailable
from services.blob_labels import CROCKFORD, BlobLabels, tracking_number
from services.label_pdf import load_font
from tests.support.servers import Azurite, FreePorts
from tests.unit.orders import request, running_order


def container_of(azurite: Azurite) -> ContainerClient:
    """Of its own for each test, and not created."""
    return ContainerClient.from_connection_string(azurite.connection_string, f"labels-{uuid.uuid4()}")


@pytest.fixture
def container(azurite: Azurite) -> ContainerClient:
    return container_of(azurite)


@pytest.fixture
def labels(container: ContainerClient) -> BlobLabels:
    return BlobLabels(container)


def test_the_font_is_read_before_the_first_label_is_asked_for(container: ContainerClient) -> None:
    load_font.cache_clear()
    BlobLabels(container)
    assert load_font.cache_info().currsize == 1


def blob(container: ContainerClient, order_id: str = "order-1") -> BlobClient:
    return container.get_blob_client(f"{order_id}.pdf")


def status(container: ContainerClient, order_id: str = "order-1") -> str:
    return str(blob(container, order_id).get_blob_properties().metadata["status"])


def page(container: ContainerClient) -> Any:
    return pypdfium2.PdfDocument(blob(container).download_blob().readall())[0]


def text(container: ContainerClient) -> str:
    return str(page(container).get_textpage().get_text_range())


def symbols(container: ContainerClient) -> dict[str, str]:
    return {code.format.name: code.text for code in zxingcpp.read_barcodes(page(container).render(scale=3).to_pil())}


def test_a_label_is_read_with_its_status(labels: BlobLabels, container: ContainerClient) -> None:
    assert labels.read("order-1") is None, "there is no container yet"
    labels.issue(running_order())
    read = labels.read("order-1")
    assert read is not None
    assert (read.status, read.pdf[:5]) == ("issued", b"%PDF-")
    assert read.pdf == blob(container).download_blob().readall()
    labels.erase("order-1")
    labels.void("order-2")
    labels_read = [labels.read(order_id) for order_id in ("order-1", "order-2", "order-3")]
    assert [label and label.status for label in labels_read] == ["erased", "void", None]


def test_a_label_is_a_pdf_that_says_what_it_is(labels: BlobLabels, container: ContainerClient) -> None:
    number = labels.issue(running_order(sent=request(shipping_address__city="Łódź").model_dump_json()))
    stored = blob(container).get_blob_properties()
    assert stored.content_settings.content_type == "application/pdf"
    assert stored.metadata == {"order_id": "order-1", "tracking_number": number, "status": "issued"}
    assert symbols(container) == {"Code128": number, "QRCode": number}
    assert "Łódź" in text(container)


def test_an_order_has_one_label_however_often_it_is_issued(labels: BlobLabels, container: ContainerClient) -> None:
    first = labels.issue(running_order())
    written = blob(container).get_blob_properties().etag
    assert labels.issue(running_order()) == first
    assert blob(container).get_blob_properties().etag == written
    assert [stored.name for stored in container.list_blobs()] == ["order-1.pdf"]


def test_twenty_orders_at_once_share_a_container_that_nobody_had_created(
    labels: BlobLabels, container: ContainerClient
) -> None:
    orders = [running_order(f"order-{number}") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        numbers = list(pool.map(labels.issue, orders))
    assert len(set(numbers)) == 20
    assert {status(container, order.order_id) for order in orders} == {"issued"}


def test_a_void_label_can_be_seen_to_be_void_and_no_longer_names_the_recipient(
    labels: BlobLabels, container: ContainerClient
) -> None:
    number = labels.issue(running_order())
    labels.void("order-1")
    assert status(container) == "void"
    assert blob(container).get_blob_properties().metadata["tracking_number"] == number
    assert text(container).startswith("VOID")
    assert number in text(container)
    assert "Lovelace" not in text(container)
    assert symbols(container) == {}


def test_voiding_twice_is_harmless(labels: BlobLabels, container: ContainerClient) -> None:
    labels.issue(running_order())
    labels.void("order-1")
    written = blob(container).get_blob_properties().etag
    labels.void("order-1")
    assert blob(container).get_blob_properties().etag == written


def test_voiding_what_was_never_issued_refuses_a_late_issue(labels: BlobLabels, container: ContainerClient) -> None:
    labels.void("order-1")
    with pytest.raises(Refused, match="label_voided"):
        labels.issue(running_order())
    assert status(container) == "void"


@pytest.mark.parametrize("attempt", range(5))
def test_when_issue_and_void_race_the_label_ends_void(
    labels: BlobLabels, container: ContainerClient, attempt: int
) -> None:
    def issue(_: int) -> str:
        try:
            return labels.issue(running_order())
        except Refused as refused:
            return refused.reason

    with ThreadPoolExecutor(16) as pool:
        issued = [pool.submit(issue, number) for number in range(8)]
        voided = [pool.submit(labels.void, "order-1") for _ in range(8)]
        answers = {answer.result() for answer in issued}
        assert {done.result() for done in voided} == {None}
    assert answers <= {tracking_number("order-1"), "label_voided"}
    assert status(container) == "void"
    assert text(container).startswith("VOID")


def test_storage_that_is_away_is_a_delay(ports: FreePorts) -> None:
    away = ContainerClient(
        f"http://127.0.0.1:{ports()}/devstoreaccount1", "labels", credential="c2VjcmV0", retry_total=0
    )
    for ask in (lambda: BlobLabels(away).issue(running_order()), lambda: BlobLabels(away).void("order-1")):
        with pytest.raises(Unavailable, match="the label of order order-1"):
            ask()


def test_a_tracking_number_is_fourteen_characters_that_stay_the_same_for_an_order() -> None:
    # printf order-1 | sha256sum, its first 70 bits in Crockford's base 32
    assert tracking_number("order-1") == "1EQY48APT9MRR5"
    numbers = {tracking_number(f"order-{number}") for number in range(10_000)}
    assert len(numbers) == 10_000
    assert {len(number) for number in numbers} == {14}
    assert set("".join(numbers)) == set(CROCKFORD)
