"""`python3 dev.py start` as a person or a script meets it: what it says, leaves behind, and does about trouble."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator

import pytest

from devtools.processes.http import fetch
from devtools.processes.identity import start_time
from devtools.processes.ports import Ports, answers
from tests.support.outside_view import wait_for
from tests.support.product import Product

NewProduct = Callable[..., Product]


def assert_gone(pids: Iterable[int]) -> None:
    wait_for(lambda: not [pid for pid in pids if start_time(pid)], 60, "end of every process")


def test_urls_json_says_where_everything_is_and_who_serves_it(product: Product) -> None:
    urls, port = product.urls, product.port
    pids = urls.pop("pids")
    assert urls == {
        "host": f"http://127.0.0.1:{port}",
        "payments": f"http://127.0.0.1:{port + 1}",
        "smtp": f"smtp://127.0.0.1:{port + 2}",
        "mail": f"http://127.0.0.1:{port + 3}",
        "storage_connection_string": Ports.counted_from(port).storage_connection_string,
        "task_hub": "OrderSagaDev",
    }
    assert set(pids) == {"devhost", "worker", "azurite", "payments", "mail"}
    assert all(map(start_time, pids.values()))


def test_everything_that_is_named_answers(product: Product) -> None:
    urls = product.urls
    assert product.get("/api/health").status == 200
    assert fetch(urls["payments"] + "/sandbox/ledger").status == 200
    assert fetch(urls["mail"] + "/sandbox/messages").status == 200
    assert all(map(answers, Ports.counted_from(product.port).storage))


def test_the_catalogue_is_there_from_the_first_start(product: Product) -> None:
    lamp = product.get("/api/inventory/LAST-LAMP").json()
    assert (lamp["price_minor"], lamp["currency"].lower()) == (1900, "gbp")


def test_the_order_that_start_prints_is_taken(product: Product) -> None:
    """Run as pasted, by a shell."""
    printed = next(line for line in product.output().splitlines() if line.startswith("  curl "))
    answer = subprocess.run(["bash", "-c", printed], capture_output=True, text=True, check=True).stdout
    assert answer.startswith("HTTP/1.1 202")
    order = json.loads(answer[answer.index("{") :])["id"]
    assert product.final_view(order)["status"] == "completed"


def test_start_says_where_its_logs_are_and_how_each_order_ends(product: Product) -> None:
    assert f"\n  logs      {product.data / 'logs'}\n" in product.output()
    assert f"\n  dashboard {product.urls['host']}/api/dashboard\n" in product.output()
    taken = product.order().json()["id"]
    declined = product.order(payment_method="pm_card_visa_chargeDeclined").json()["id"]
    product.final_view(taken)
    product.final_view(declined)
    wait_for(lambda: f" order {taken} completed\n" in product.output(), 10, "line of the order")
    ending = f" order {declined} compensated (process_payment: card_declined)\n"
    wait_for(lambda: ending in product.output(), 10, "line of the order that was undone")
    assert product.output().count(f"order {taken} ") == 1


def test_start_says_that_a_worker_was_replaced_and_how_orders_go_on(product: Product) -> None:
    killed = product.pids["worker"]
    os.kill(killed, signal.SIGKILL)
    line = "ERROR: The worker ended by itself (exit code -9); starting another."
    wait_for(lambda: line in product.output(), 20, "line of the worker")
    wait_for(lambda: product.pids.get("worker", killed) != killed, 20, "name of the new worker in urls.json")
    order = product.order().json()["id"]
    assert product.final_view(order)["status"] == "completed"


@pytest.fixture
def as_at_a_terminal() -> Iterator[None]:
    """Under nohup the tests ignore SIGHUP, and what they start inherits that: rightly so, but not in this test."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("as_at_a_terminal")
@pytest.mark.parametrize(("name", "without"), [("SIGTERM", ()), ("SIGINT", ("--no-host",)), ("SIGHUP", ("--no-host",))])
def test_a_signal_stops_everything_with_exit_status_0(
    new_product: NewProduct, name: str, without: tuple[str, ...]
) -> None:
    """A signal only sets a flag, so one of the three is enough to see that devhost is stopped too."""
    product = new_product(*without).start()
    pids = product.pids
    assert product.stop(getattr(signal, name)) == 0
    assert_gone(pids.values())
    assert not (product.data / "urls.json").exists()


def test_a_second_start_on_the_same_data_is_refused_and_the_first_goes_on(
    new_product: NewProduct, product: Product
) -> None:
    second = Product(product.data, product.port)
    refused = run(second)
    assert refused.returncode == 1
    assert f"Another `dev.py start` is running on {product.data}: stop it" in refused.stderr
    assert product.get("/api/health").status == 200


def test_a_taken_port_is_one_sentence_and_nothing_is_started(new_product: NewProduct) -> None:
    product = new_product()
    with socket.create_server(("127.0.0.1", product.port + 3)):
        refused = run(product)
    assert refused.returncode == 1
    assert f"Port {product.port + 3} (mail) is in use by another program: stop it" in refused.stderr
    assert not (product.data / "processes.json").exists()


def test_wrong_settings_are_named_before_anything_is_started(new_product: NewProduct) -> None:
    refused = run(new_product(CONFIRMATION_FAILURE="shrug", SHIPS_TO="XX"))
    assert refused.returncode == 1
    assert "CONFIRMATION_FAILURE must be compensate or ignore." in refused.stderr
    assert "SHIPS_TO " in refused.stderr


def test_a_child_that_dies_is_named_and_the_rest_stopped(new_product: NewProduct) -> None:
    product = new_product("--no-host").start()
    pids = product.pids
    os.kill(pids["mail"], signal.SIGKILL)
    assert product.ended() == 1
    assert "mail ended by itself (killed by SIGKILL), so everything was stopped." in product.output()
    assert_gone(pids.values())
    assert not (product.data / "urls.json").exists()


def test_a_killed_start_takes_its_processes_along_and_the_next_one_has_its_data(new_product: NewProduct) -> None:
    product = new_product().start()
    pids = product.pids
    price = {"on_hand": 7, "price_minor": 1900, "currency": "gbp"}
    etag = product.get("/api/inventory/LAST-LAMP").headers["ETag"]
    changed = product.call("PUT", "/api/inventory/LAST-LAMP", price, {"If-Match": etag} if etag else {})
    assert changed.status == 200, changed.body
    product.kill_start()
    product.start_again()
    assert product.get("/api/inventory/LAST-LAMP").json()["on_hand"] == 7
    assert_gone(pids.values())


def test_without_a_host_it_says_what_to_do_next(new_product: NewProduct) -> None:
    product = new_product("--no-host").start()
    assert set(product.pids) == {"azurite", "payments", "mail"}
    assert "host" not in product.urls
    assert "cp local.settings.json.example local.settings.json" in product.output()
    assert f'"STRIPE_API_BASE": "http://127.0.0.1:{product.port + 1}"' in product.output()
    assert f"func start --port {product.port}" in product.output()


def test_a_name_that_is_allowed_is_answered_by_each_server(new_product: NewProduct) -> None:
    product = new_product("--allow-host", "tunnel.example").start()
    pages = {"host": "/api/health", "payments": "/sandbox/ledger", "mail": "/sandbox/messages"}
    for server, path in pages.items():
        address = product.urls[server] + path
        assert fetch(address, headers={"Host": "tunnel.example"}).status == 200, server
        assert fetch(address, headers={"Host": "another.example"}).status == 421, server


def run(product: Product) -> subprocess.CompletedProcess[str]:
    """To its end, which is expected at once."""
    return subprocess.run(
        product.command, env=product.environment, capture_output=True, text=True, timeout=60, check=False
    )
