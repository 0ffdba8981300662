"""A transaction in our envelope does what one in the SDK's does, on real tables."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode
from azure.data.tables._base_client import TablesBaseClient

from services import storage
from services.tables.quick_batches import batch_send
from tests.support.servers import Azurite

THEIRS: Callable[..., Any] = TablesBaseClient._batch_send
TEXTS = [
    "plain",
    "",
    "Łódź, 東京 £ €",
    'a "quote" and a \\',
    "two\r\nlines",
    "--changeset_ --batch_",
    "HTTP/1.1 500 no",
]


@pytest.fixture(params=["theirs", "ours"])
def table(request: pytest.FixtureRequest, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[TableClient]:
    monkeypatch.setattr(TablesBaseClient, "_batch_send", THEIRS if request.param == "theirs" else batch_send)
    with TableServiceClient.from_connection_string(azurite.connection_string) as account:
        yield account.create_table_if_not_exists("quickbatches")


@pytest.fixture
def keys() -> dict[str, str]:
    return {"PartitionKey": uuid.uuid4().hex}


def row(keys: dict[str, str], name: str, **columns: Any) -> dict[str, Any]:
    return {**keys, "RowKey": name, **columns}


def guard(etag: str) -> dict[str, Any]:
    return {"mode": UpdateMode.MERGE, "etag": etag, "match_condition": MatchConditions.IfNotModified}


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_what_is_read_and_its_etag_is_returned(
    table: TableClient, keys: dict[str, str], text: str
) -> None:
    written = table.submit_transaction([("create", row(keys, "1", Text=text)), ("create", row(keys, "2", Number=2))])
    entities = [table.get_entity(keys["PartitionKey"], name) for name in ("1", "2")]
    assert [each["etag"] for each in written] == [each.metadata["etag"] for each in entities]
    assert (entities[0]["Text"], entities[1]["Number"]) == (text, 2)


def test_a_guarded_update_of_an_older_state_is_refused_and_nothing_is_written(
    table: TableClient, keys: dict[str, str]
) -> None:
    (first, _) = table.submit_transaction([("create", row(keys, "1", N=1)), ("create", row(keys, "2"))])
    table.submit_transaction([("update", row(keys, "1", N=2), guard(first["etag"]))])
    with pytest.raises(TableTransactionError) as refused:
        table.submit_transaction([("create", row(keys, "3")), ("update", row(keys, "1", N=3), guard(first["etag"]))])
    assert refused.value.status_code == 412
    assert table.get_entity(keys["PartitionKey"], "1")["N"] == 2
    assert [each["RowKey"] for each in table.query_entities(f"PartitionKey eq '{keys['PartitionKey']}'")] == ["1", "2"]


def test_a_row_that_exists_is_refused_with_the_number_of_its_operation(
    table: TableClient, keys: dict[str, str]
) -> None:
    table.submit_transaction([("create", row(keys, "2"))])
    with pytest.raises(TableTransactionError) as refused:
        table.submit_transaction([("create", row(keys, "1")), ("create", row(keys, "2"))])
    assert (refused.value.status_code, refused.value.index) == (409, 1)


def test_a_table_that_is_not_there_is_reported(table: TableClient, azurite: Azurite, keys: dict[str, str]) -> None:
    with (
        TableServiceClient.from_connection_string(azurite.connection_string) as account,
        pytest.raises(HttpResponseError) as missing,
    ):
        account.get_table_client("nosuchtable").submit_transaction([("create", row(keys, "1"))])
    assert missing.value.status_code == 404


def test_the_app_uses_it(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TablesBaseClient, "_batch_send", THEIRS)
    storage.connect({storage.SETTING: azurite.connection_string})
    assert vars(TablesBaseClient)["_batch_send"] is batch_send
