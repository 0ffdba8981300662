"""Where a provider may be: https to everywhere, http to this machine alone, and nothing that two parsers read apart."""

from __future__ import annotations

import pytest
import requests

from services import storage
from services.addresses import is_loopback, parse_http
from services.notification_hub import parse_connection
from services.settings import SETTINGS, faults

GOOD = {setting.name: setting.example for setting in SETTINGS}
PUSH = "Endpoint={};SharedAccessKeyName=k;SharedAccessKey=hunter2;EntityPath=orders"

TAKEN = [
    *("https://api.stripe.com", "https://api.stripe.com/", "https://API.stripe.com:443", "HTTPS://api.stripe.com"),
    *("https://10.0.0.7", "https://[2001:db8::1]:8443", "https://proxy.example/stripe", "https://xn--e1afmkfd.example"),
    *(
        "http://127.0.0.1",
        "http://127.0.0.1:12111",
        "http://127.255.255.254:1",
        "http://127.1.2.3/",
        "HTTP://127.0.0.1",
    ),
    *("http://localhost", "http://LocalHost:65535", "http://[::1]:12111", "http://[0:0:0:0:0:0:0:1]"),
    "http://[::ffff:127.0.0.1]",
]
ELSEWHERE = [
    *("http://api.stripe.com", "HTTP://api.stripe.com", "http://10.0.0.7", "http://192.168.1.1:80", "http://0.0.0.0"),
    *("http://128.0.0.1", "http://126.255.255.255", "http://[::]", "http://[::2]", "http://[2001:db8::1]"),
    *("http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://evil.example/127.0.0.1"),
    *("http://localhost.", "http://notlocalhost", "http://[::ffff:10.0.0.7]", "http://[::ffff:8.8.8.8]"),
    # Numbers that some resolvers take for 127.0.0.1, and others for a name.
    *("http://127.1", "http://2130706433", "http://0x7f.0.0.1", "http://0177.0.0.1", "http://127.0.0.01"),
]
TRICKS = [
    *("http://127.0.0.1@evil.example", "http://127.0.0.1:80@evil.example", "http://localhost:x@evil.example"),
    *("https://user:hunter2@api.stripe.com", "http://evil.example@127.0.0.1", "http://a@b@127.0.0.1"),
    *("http://127.0.0.1\\@evil.example", "http://evil.example\\@127.0.0.1", "http://127.0.0.1#@evil.example"),
    *("http://127.0.0.1?@evil.example", "http://127.0.0.1/@evil.example", "http://127.0.0.1%2f@evil.example"),
    *("http://[::1]@evil.example", "http://[::1].evil.example", "http://[::1", "http://::1", "http://[::1%lo]"),
    *("https://api.stripe.com?key=hunter2", "https://api.stripe.com#x", "https:// api.stripe.com", "https://a b"),
    *(
        "https://api.stripe.com\n",
        "\nhttps://api.stripe.com",
        "https://api\t.stripe.com",
        "https://\uff41pi.stripe.com",
    ),
    *(
        "http://\uff11\uff12\uff17.0.0.1",
        "http://127\u30020\u30020\u30021",
        "https://пример.example",
        "https://api.stripe.com:٤٤٣",
    ),
    *(
        "https://api.stripe.com:0",
        "https://api.stripe.com:65536",
        "https://api.stripe.com:",
        "https://a:x",
        "https://a:-1",
    ),
    *("https:api.stripe.com", "https:/api.stripe.com", "https:///api.stripe.com", "//api.stripe.com", "api.stripe.com"),
    *("ftp://127.0.0.1", "file:///etc/passwd", "javascript://127.0.0.1", "httpss://a", "https", "https://", "http://"),
]


@pytest.mark.parametrize("text", TAKEN)
def test_an_address_that_is_safe_is_taken_and_leads_where_it_says(text: str) -> None:
    """`requests`, which calls it, finds the same host in it."""
    address = parse_http(text)
    called = requests.Request("GET", text).prepare().url or ""
    assert called.lower().startswith(f"{address.scheme}://{address.origin.lower()}")


@pytest.mark.parametrize("text", [*ELSEWHERE, *TRICKS])
def test_an_address_that_is_not_is_refused_by_every_setting_without_a_quote(text: str) -> None:
    with pytest.raises(ValueError, match="http:// is for"):
        parse_http(text)
    (fault,) = faults({**GOOD, "STRIPE_API_BASE": text})
    assert fault == (
        "STRIPE_API_BASE must be https://host[:port]; http:// is for 127.0.0.1, [::1] and localhost alone."
    )
    if text == text.strip():  # around the parts of a connection string white space means nothing
        (fault,) = faults({**GOOD, "PUSH_CONNECTION": PUSH.format(text)})
        assert fault.startswith("PUSH_CONNECTION must have an Endpoint of sb://host or https://host")
        assert "hunter2" not in fault
    for name in storage.URIS.values():
        (fault,) = faults({**BY_ADDRESSES, name: text})
        assert fault.startswith(f"{name} must be https://")


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("sb://shop.servicebus.windows.net/", "https://shop.servicebus.windows.net/orders"),
        ("SB://shop.servicebus.windows.net", "https://shop.servicebus.windows.net/orders"),
        ("https://shop.example:8443", "https://shop.example:8443/orders"),
        ("http://127.0.0.1:8025", "http://127.0.0.1:8025/orders"),
        ("HTTP://[::1]:8025/", "http://[::1]:8025/orders"),
    ],
)
def test_a_push_connection_is_called_encrypted_but_on_this_machine(endpoint: str, url: str) -> None:
    assert faults({**GOOD, "PUSH_CONNECTION": PUSH.format(endpoint)}) == []
    assert parse_connection(PUSH.format(endpoint)).url == url


@pytest.mark.parametrize("text", ["sb://127.0.0.1@evil.example", "http://sb.example", "sbs://a", "sb://"])
def test_a_push_connection_with_another_scheme_or_a_user_is_refused(text: str) -> None:
    (fault,) = faults({**GOOD, "PUSH_CONNECTION": PUSH.format(text)})
    assert fault.startswith("PUSH_CONNECTION must have an Endpoint")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_this_machine_is_known_by_its_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "127.1", "0.0.0.0", "localhost.", "a.localhost", "10.0.0.1", "::", "shop.example"]
)
def test_no_other_name_is_this_machine(host: str) -> None:
    assert not is_loopback(host)


# ---------------------------------------------------------------------------------------------- storage by an identity

BY_NAME = {name: value for name, value in GOOD.items() if name != storage.SETTING} | {storage.ACCOUNT: "shopstorage"}
BY_ADDRESSES = {name: value for name, value in BY_NAME.items() if name != storage.ACCOUNT} | {
    # As azd's templates set them, with the closing slash of an output.
    **{name: f"https://shopstorage.{service}.core.windows.net/" for service, name in storage.URIS.items()},
    "AzureWebJobsStorage__credential": "managedidentity",
    "AzureWebJobsStorage__clientId": "00000000-0000-0000-0000-000000000000",
}
TABLES, BLOBS = "https://shopstorage.table.core.windows.net", "https://shopstorage.blob.core.windows.net"


@pytest.mark.parametrize("settings", [BY_NAME, BY_ADDRESSES, BY_NAME | BY_ADDRESSES], ids=["name", "addresses", "both"])
def test_an_identity_is_taken_in_both_forms(settings: dict[str, str]) -> None:
    assert faults(settings) == []
    account = storage.connect(settings)
    assert (account.tables.url.rstrip("/"), account.blobs.url.rstrip("/")) == (TABLES, BLOBS)


@pytest.mark.parametrize("service", storage.URIS)
def test_an_address_that_is_missing_is_named_unless_the_account_is(service: str) -> None:
    name = storage.URIS[service]
    rest = {key: value for key, value in BY_ADDRESSES.items() if key != name}
    assert faults(rest) == [f"{name} is not set: an identity needs all three addresses, or {storage.ACCOUNT}."]
    assert faults(rest | {storage.ACCOUNT: "shopstorage"}) == []
    assert faults({**BY_ADDRESSES, name: ""}) == faults(rest)


def test_addresses_of_another_cloud_go_before_the_accounts_name() -> None:
    """The name alone means the public cloud."""
    tables = "https://shopstorage.table.core.chinacloudapi.cn"
    account = storage.connect(BY_NAME | {storage.URIS["table"]: tables})
    assert (account.tables.url.rstrip("/"), account.blobs.url.rstrip("/")) == (tables, BLOBS)


def test_a_connection_string_goes_before_an_identity_as_in_the_host() -> None:
    """So what `dev.py start` sets cannot be led to an account in Azure by a variable of another day."""
    for identity in (BY_NAME, BY_ADDRESSES):
        account = storage.connect({**identity, storage.SETTING: "UseDevelopmentStorage=true"})
        assert account.blobs.url.rstrip("/") == "http://127.0.0.1:10000/devstoreaccount1"


def test_nothing_set_names_each_way_out() -> None:
    (fault,) = storage.faults({})
    assert fault.startswith("AzureWebJobsStorage is not set: give a connection string, or ")
    assert all(
        name in fault for name in ("__accountName", "__blobServiceUri", "__queueServiceUri", "__tableServiceUri")
    )
