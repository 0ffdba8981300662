"""The storage emulator as dev.py runs it: it finds rows by both keys, and is otherwise what it is without that."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from devtools.processes.ports import PORTS_IN_A_ROW, Ports, answers
from tests.support.installed import installed_azurite
from tests.support.servers import Azurite, FreePorts, running


@pytest.fixture
def table(azurite: Azurite) -> Iterator[TableClient]:
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service.create_table(f"Rows{uuid4().hex}")


def row(partition: str, key: str, text: str = "first") -> dict[str, str]:
    return {"PartitionKey": partition, "RowKey": key, "Text": text}


def text_of(table: TableClient, partition: str, key: str) -> str:
    return str(table.get_entity(partition, key)["Text"])


def test_rows_are_distinguished_by_both_keys(table: TableClient) -> None:
    for partition, key in (("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("1 a", "b"), ("1", " ab")):
        table.create_entity(row(partition, key, f"{partition}|{key}"))
    assert text_of(table, "ab", "c") == "ab|c"
    assert text_of(table, "", "abc") == "|abc"
    assert text_of(table, "1 a", "b") == "1 a|b"


def test_a_row_that_is_there_is_not_inserted_again_and_one_that_was_deleted_is(table: TableClient) -> None:
    table.create_entity(row("p", "r"))
    with pytest.raises(ResourceExistsError):
        table.create_entity(row("p", "r", "second"))
    table.delete_entity("p", "r")
    with pytest.raises(ResourceNotFoundError):
        table.get_entity("p", "r")
    table.create_entity(row("p", "r", "third"))
    assert text_of(table, "p", "r") == "third"


def test_replaced_and_merged_rows_are_found_as_they_are_now(table: TableClient) -> None:
    table.create_entity(row("p", "r"))
    table.upsert_entity({**row("p", "r", "second"), "More": 1}, UpdateMode.REPLACE)
    table.upsert_entity({"PartitionKey": "p", "RowKey": "r", "More": 2}, UpdateMode.MERGE)
    entity = table.get_entity("p", "r")
    assert (entity["Text"], entity["More"]) == ("second", 2)


def test_a_transaction_that_fails_leaves_every_row_as_it_was(table: TableClient) -> None:
    table.create_entity(row("p", "there"))
    table.create_entity(row("p", "changed"))
    with pytest.raises(TableTransactionError):
        table.submit_transaction(
            [
                ("upsert", row("p", "changed", "second")),
                ("create", row("p", "new")),
                ("create", row("p", "there", "second")),
            ]
        )
    assert {entity["RowKey"]: entity["Text"] for entity in table.list_entities()} == {
        "there": "first",
        "changed": "first",
    }
    table.create_entity(row("p", "new"))
    assert text_of(table, "p", "changed") == "first"


def test_a_table_that_was_deleted_and_made_again_is_empty(azurite: Azurite, table: TableClient) -> None:
    table.create_entity(row("p", "r"))
    table.delete_table()
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        again = service.create_table(table.table_name)
        again.create_entity(row("p", "r", "second"))
        assert text_of(again, "p", "r") == "second"


def test_rows_are_found_again_after_a_restart(ports: FreePorts, tmp_path: Path) -> None:
    numbers = Ports.counted_from(ports(PORTS_IN_A_ROW))

    def started() -> AbstractContextManager[None]:
        command = installed_azurite(numbers, tmp_path / "data")
        return running(command, tmp_path / "azurite.log", lambda: all(map(answers, numbers.storage)))

    with started(), TableServiceClient.from_connection_string(numbers.storage_connection_string) as service:
        service.create_table("Kept").create_entity(row("p", "r"))
    for text in ("second", "third"):
        with started(), TableServiceClient.from_connection_string(numbers.storage_connection_string) as service:
            kept = service.get_table_client("Kept")
            with pytest.raises(ResourceExistsError):
                kept.create_entity(row("p", "r"))
            kept.update_entity(row("p", "r", text))
            assert text_of(kept, "p", "r") == text
