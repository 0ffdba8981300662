"""The storage account that a connection string names."""

import pytest

from devhost.storage.account import parse_connection_string


def test_an_account_in_azure_has_its_usual_endpoints() -> None:
    account = parse_connection_string(
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5;EndpointSuffix=x.y"
    )
    assert account.table_endpoint == "https://shop.table.x.y"
    assert account.blob_endpoint == "https://shop.blob.x.y"
    assert account.queue_endpoint == "https://shop.queue.x.y"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a connection string with AccountName and AccountKey"),
        ("hello", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop", "must be a connection string with AccountName and AccountKey"),
        ("AccountKey=a2V5", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop;AccountKey=", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop;AccountKey=a2V", "AccountKey is not the base64 text"),
        ("AccountName=shop;AccountKey=a2V5!", "AccountKey is not the base64 text"),
    ],
)
def test_a_connection_string_that_cannot_be_used_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_connection_string(text)
    assert str(refused.value).startswith("AzureWebJobsStorage")
    assert "a2V" not in str(refused.value)


def test_an_account_that_names_no_queues_has_none() -> None:
    account = parse_connection_string("AccountName=a;AccountKey=a2V5;BlobEndpoint=http://b/a;TableEndpoint=http://t/a")
    assert account.queue_endpoint == ""
