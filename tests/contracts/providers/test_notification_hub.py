"""`NotificationHub` against the sandbox, which checks the token as Azure does."""

from __future__ import annotations

import json
import traceback
import uuid
from typing import Any

import pytest

from models.errors import Unavailable
from services.notification_hub import Hub, NotificationHub, parse_connection, sas_token
from tests.support.servers import FreePorts, Sandbox

WHOLE = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0a2V5=;EntityPath=orders"


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def pushes(sandbox: Sandbox, order_id: str) -> list[dict[str, Any]]:
    return [row for row in sandbox.messages() if row["kind"] == "push" and order_id in row["text"]]


def test_a_push_reaches_its_tag_with_the_properties_of_the_template(sandbox: Sandbox, order_id: str) -> None:
    NotificationHub(sandbox.push_connection).send("customer:cust-42", order_id, "Your order is on its way to Łódź.")
    [push] = pushes(sandbox, order_id)
    assert push["to"] == "customer:cust-42"
    assert json.loads(push["text"]) == {"message": "Your order is on its way to Łódź.", "order_id": order_id}


@pytest.mark.parametrize("fault", ["error_before_commit", "drop_before_commit", "drop_after_commit", "refuse"])
def test_a_push_without_a_good_answer_is_unavailable(sandbox: Sandbox, order_id: str, fault: str) -> None:
    sandbox.faults("mail", [{"operation": "push.send", "fault": fault, "order_id": order_id}])
    with pytest.raises(Unavailable, match=order_id):
        NotificationHub(sandbox.push_connection).send("customer:cust-42", order_id, "On its way.")


def test_a_wrong_key_is_unavailable_and_stays_unsaid(sandbox: Sandbox, order_id: str) -> None:
    key = uuid.uuid4().hex
    hub = NotificationHub(sandbox.push_connection.replace("sandbox-push-key", key))
    with pytest.raises(Unavailable, match=r"answered 401.*PUSH_CONNECTION") as raised:
        hub.send("customer:cust-42", order_id, "On its way.")
    assert key not in "".join(traceback.format_exception(raised.value))
    assert pushes(sandbox, order_id) == []


def test_a_hub_that_is_away_is_unavailable(ports: FreePorts, order_id: str) -> None:
    hub = NotificationHub(f"Endpoint=http://127.0.0.1:{ports()};{WHOLE.partition(';')[2]}")
    with pytest.raises(Unavailable, match="did not answer"):
        hub.send("customer:cust-42", order_id, "On its way.")


def test_the_parts_come_in_any_order_and_sb_is_called_as_https() -> None:
    expected = Hub("https://shop.servicebus.windows.net/orders", "send", "c2VjcmV0a2V5=")
    assert parse_connection(WHOLE) == expected
    assert parse_connection(";".join(reversed(WHOLE.split(";")))) == expected
    assert parse_connection(WHOLE.replace("sb://", "https://")).url == expected.url


@pytest.mark.parametrize("missing", ["Endpoint", "SharedAccessKeyName", "SharedAccessKey", "EntityPath"])
def test_a_connection_that_lacks_a_part_is_refused_by_its_name(missing: str) -> None:
    rest = ";".join(part for part in WHOLE.split(";") if not part.startswith(f"{missing}="))
    with pytest.raises(ValueError, match=f"^PUSH_CONNECTION lacks {missing}=") as raised:
        parse_connection(rest)
    assert "c2VjcmV0a2V5" not in str(raised.value)


@pytest.mark.parametrize("endpoint", ["ftp://shop", "shop.servicebus.windows.net", "sb://"])
def test_an_endpoint_of_another_kind_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="PUSH_CONNECTION must have an Endpoint"):
        parse_connection(f"Endpoint={endpoint};{WHOLE.partition(';')[2]}")


def test_the_token_is_the_one_that_azure_computes() -> None:
    # printf 'https%3A%2F%2Fshop.servicebus.windows.net%2Forders\n1700000000' | openssl dgst -sha256 -hmac ... -binary
    token = sas_token(Hub("https://Shop.servicebus.windows.net/orders", "send", "c2VjcmV0a2V5="), 1_700_000_000)
    assert token == (
        "SharedAccessSignature sr=https%3A%2F%2Fshop.servicebus.windows.net%2Forders"
        "&sig=9eEaegwIEvGZZSMD0celU9nqe4gPWeEGE%2FK6uapjkDY%3D&se=1700000000&skn=send"
    )
