"""What tests send to entities and read of them."""

from typing import Any

from azure.storage.blob import BlobServiceClient

from tests.devhost.support.hosts import Devhost, until


def state(host: Devhost, name: str, key: str) -> Any:
    """The state of an entity over plain HTTP; None when there is none."""
    response = host.get(host.api(f"/entities/{name}/{key}"))
    assert response.status in (200, 404)
    return response.json() if response.status == 200 else None


def becomes(host: Devhost, name: str, key: str, wanted: Any, within_s: float = 60) -> None:
    until(lambda: state(host, name, key) == wanted, within_s, lambda: f"{state(host, name, key)}\n{host.log}")


def signal(host: Devhost, name: str, key: str, operation: str, value: Any = None) -> None:
    """Through the SDK's client."""
    response = host.post(f"/api/signal/{name}/{key}/{operation}", value)
    assert response.status == 202, response.text


def open_gate(host: Devhost, key: str) -> None:
    """Let the operation `at_gate` of the Journal of this key end, also one that comes later."""
    (host.folder / f"gate-{key}").touch()


def blobs_of(host: Devhost, instance_id: str) -> int:
    with BlobServiceClient.from_connection_string(host.storage) as service:
        container = service.get_container_client(f"{host.hub.lower()}-largemessages")
        return len(list(container.list_blobs(name_starts_with=f"{instance_id}/")))
