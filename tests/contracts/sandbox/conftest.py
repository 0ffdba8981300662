"""The payments process with Stripe's own client for it, and the mail process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.contracts.sandbox.sandbox_intents import ORDERS
from tests.contracts.sandbox.sandbox_process import KEY, SandboxProcess


@pytest.fixture(scope="module")
def payments(ports: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess("payments", ports(), tmp_path_factory.mktemp("payments"), ("--search-lag", "2"))
    yield process.start()
    process.stop()


@pytest.fixture(scope="module")
def client(payments: SandboxProcess) -> stripe.StripeClient:
    """Speaks an API version that still takes `payment_method_types`."""
    base: Any = {"api": payments.url}
    return stripe.StripeClient(KEY, stripe_version="2026-07-29.dahlia", base_addresses=base, max_network_retries=0)


@pytest.fixture
def order() -> str:
    return next(ORDERS)


@pytest.fixture(scope="module")
def smtp_port(ports: Callable[[], int]) -> int:
    return ports()


@pytest.fixture(scope="module")
def mail_process(
    ports: Callable[[], int], smtp_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProcess]:
    process = SandboxProcess("mail", ports(), tmp_path_factory.mktemp("mail"), ("--smtp-port", str(smtp_port)))
    yield process.start()
    process.stop()


@pytest.fixture
def mail(mail_process: SandboxProcess) -> Iterator[SandboxProcess]:
    yield mail_process
    mail_process.clear_faults()
