"""The real things that tests run against: one Azurite, one sandbox and one product a session, run as dev.py runs them.

Nothing is skipped when one of them cannot start: the fixture fails and says why. `python3 dev.py test` installs what
they need; a fixture that misses it says so in one sentence. Every session takes ports of its own, so several run side
by side.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # plain `pytest` does not put it there; `python -m pytest` does
    sys.path.insert(0, str(ROOT))

# A proxy of the environment has no business with 127.0.0.1, where every server of the tests is.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1", "127.1", "localhost")))

from devtools.processes.ports import PORTS_IN_A_ROW, STORAGE_ACCOUNT, Ports, address, answers  # noqa: E402 - as above
from devtools.product.commands import mail_command, payments_command  # noqa: E402
from tests.support.harness import Harness  # noqa: E402
from tests.support.installed import demand_worker_library, installed_azurite  # noqa: E402
from tests.support.product import Product  # noqa: E402
from tests.support.servers import Azurite, FreePorts, Sandbox, running  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples", type=int, default=3, help="requests drawn for each operation of the API document"
    )
    parser.addoption(
        "--api-values", type=int, default=8, help="values drawn for each parameter of devhost's Durable API"
    )
    parser.addoption("--concurrent-orders", type=int, help="orders that want the same fifty units")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What to do about a failure travels with its report, also from one process to another."""
    item.user_properties += [("remedy", mark.args[0]) for mark in item.iter_markers("remedy")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Once for all tests that failed for one reason."""
    properties = [each for report in terminalreporter.stats.get("failed", []) for each in report.user_properties]
    for sentence in dict.fromkeys(str(sentence) for name, sentence in properties if name == "remedy"):
        terminalreporter.write_line(f"What to do: {sentence}")


@pytest.fixture(scope="session")
def ports() -> FreePorts:
    """`ports()` is a free port; `ports(7)` the first of seven in a row."""
    return FreePorts()


@pytest.fixture(scope="session")
def azurite(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The storage emulator, in memory."""
    numbers = Ports.counted_from(ports(PORTS_IN_A_ROW))
    log = tmp_path_factory.mktemp("azurite") / "azurite.log"
    with running(installed_azurite(numbers, None), log, lambda: all(map(answers, numbers.storage))):
        yield Azurite(
            numbers.storage_connection_string,
            *(f"{address(port)}/{STORAGE_ACCOUNT}" for port in numbers.storage),
        )


@pytest.fixture(scope="session")
def worker_library() -> None:
    """Microsoft's worker library, in this process's Python."""
    demand_worker_library()


@pytest.fixture(scope="session")
def sandbox_processes(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Both processes of the sandbox. Tests ask for `sandbox`, which also takes their faults away again."""
    numbers = Ports.counted_from(ports(PORTS_IN_A_ROW))
    data = tmp_path_factory.mktemp("sandbox")
    payments, mail = (
        payments_command(sys.executable, numbers, data),
        mail_command(sys.executable, numbers, data),
    )
    with (
        running(payments, data / "payments.log", lambda: answers(numbers.payments)),
        running(mail, data / "mail.log", lambda: answers(numbers.mail) and answers(numbers.smtp)),
    ):
        yield Sandbox(
            address(numbers.payments),
            address(numbers.mail),
            address(numbers.smtp, "smtp"),
            numbers.push_connection,
        )


@pytest.fixture
def sandbox(sandbox_processes: Sandbox) -> Iterator[Sandbox]:
    """Payments and mail, shared by the session: find your entries by order id. Faults end with the test."""
    yield sandbox_processes
    sandbox_processes.clear_faults()


@pytest.fixture(scope="session")
def new_harness(
    ports: FreePorts, azurite: Azurite, sandbox_processes: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Harness]:
    """Makes apps on devhost, not yet started: `with new_harness("--watch", SHIPS_TO="GB") as app`."""

    def make(*arguments: str, **settings: str) -> Harness:
        log = tmp_path_factory.mktemp("harness") / "devhost.log"
        return Harness(ports, azurite, sandbox_processes, log, *arguments, **settings)

    return make


@pytest.fixture(scope="session")
def product(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One whole product for the session. Do not stop it, and take back the faults you set."""
    shared = Product(tmp_path_factory.mktemp("product"), ports(PORTS_IN_A_ROW))
    try:
        yield shared.start()
    finally:
        shared.end()


@pytest.fixture
def new_product(ports: FreePorts, tmp_path: Path) -> Iterator[Callable[..., Product]]:
    """Makes products of a test's own, not yet started: `new_product("--no-host", SHIPS_TO="GB")`."""
    products: list[Product] = []

    def make(*arguments: str, **settings: str) -> Product:
        products.append(Product(tmp_path / f"product-{len(products)}", ports(PORTS_IN_A_ROW), arguments, **settings))
        return products[-1]

    try:
        yield make
    finally:
        for each in products:
            each.end()
