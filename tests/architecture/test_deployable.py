"""What is deployed starts in Azure: Microsoft's own worker library indexes, loads and invokes it.

It refuses what the real worker refuses. Everything here runs over the deployable tree, in processes that cannot see
the repository.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.deployable_tree import ROOT, copied_to
from tests.replay.driver import beginning
from tests.replay.oracle.history import request
from tests.support.servers import Azurite, FreePorts, Sandbox, serving

WORKER = Path(__file__).with_name("functions_worker.py")
# All that is at the top of what is uploaded. Whatever else is new there belongs into .funcignore.
DEPLOYED = {
    "activities",
    "api",
    "bootstrap.py",
    "function_app.py",
    "host.json",
    "models",
    "orchestrators",
    "reconciliation",
    "requirements.txt",
    "services",
}
ORCHESTRATORS = {"order_saga"}
ACTIVITIES = {
    "validate_order",
    "reserve_inventory",
    "release_inventory",
    "process_payment",
    "refund_payment",
    "create_shipment",
    "cancel_shipment",
    "send_confirmation",
    "close_order",
}
SKU = "DEPLOYED-LAMP"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_to(tmp_path_factory.mktemp("deployed") / "wwwroot")


def test_what_the_app_needs_is_deployed_and_nothing_else(tree: Path) -> None:
    assert {path.name for path in tree.iterdir()} == DEPLOYED


@pytest.mark.slow
def test_the_app_imports_without_settings_and_without_the_network(tree: Path) -> None:
    forbid_and_import = """
import sys
def hook(event, args):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        raise AssertionError(f"importing the app used the network: {event} {args[1:]}")
sys.addaudithook(hook)
sys.path.insert(0, sys.argv[1])
import function_app
"""
    command = [sys.executable, "-I", "-W", "error", "-c", forbid_and_import, str(tree)]
    done = subprocess.run(command, env={}, cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


class FunctionsWorker:
    """The parent's side of functions_worker.py: asks, and says what went wrong in the worker's own words."""

    def __init__(self, app: Path, settings: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(WORKER), str(app)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=dict(settings),
            )

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(json.dumps({"verb": verb, **request}) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the worker died: {self._log.read_text()}"
        reply: dict[str, Any] = json.loads(line)
        return reply

    def functions(self) -> dict[str, dict[str, Any]]:
        return {function["name"]: function for function in self.ask("functions")["functions"]}

    def invoke(self, name: str, **inputs: dict[str, Any]) -> Any:
        """The function's return value, typed data by kind. Fails the test with the worker's words when it failed."""
        reply = self.ask("invoke", id=self.functions()[name]["id"], inputs=inputs)
        assert reply["ok"], f"{name}: {reply['error']}\n{self._log.read_text()}"
        return reply["value"]

    def __enter__(self) -> "FunctionsWorker":
        return self

    def __exit__(self, *error: object) -> None:
        """The worker ends when it is asked no more."""
        try:
            self._process.communicate(timeout=20)
        finally:
            self._process.kill()


class StartedOrchestrations(ThreadingHTTPServer):
    """The extension's local RPC endpoint, as far as a start needs it.

    Records each call, accepts every start, knows no instance.
    """

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _RpcHandler)
        self.calls: list[tuple[str, str, str]] = []

    @property
    def binding(self) -> str:
        """The text of a durableClient binding that points here."""
        base = f"http://127.0.0.1:{self.server_port}"
        instance = f"{base}/runtime/webhooks/durabletask/instances/INSTANCEID"
        names = ("statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri", "rewindPostUri")
        return json.dumps(
            {
                "taskHubName": "OrderSaga",
                "connectionName": None,
                "creationUrls": {
                    "createNewInstancePostUri": f"{base}/runtime/webhooks/durabletask/orchestrators/{{functionName}}"
                },
                "managementUrls": {"id": "INSTANCEID", **dict.fromkeys(names, instance)},
                "baseUrl": f"{base}/runtime/webhooks/durabletask",
                "requiredQueryStringParameters": "",
                "rpcBaseUrl": f"{base}/durabletask/",
                "httpBaseUrl": None,
            }
        )


class _RpcHandler(BaseHTTPRequestHandler):
    server: StartedOrchestrations

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.calls.append(("POST", self.path, body))
        self._answer(202, json.dumps({"id": self.path.rpartition("/")[2]}).encode())

    def do_GET(self) -> None:
        self.server.calls.append(("GET", self.path, ""))
        self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the calls are recorded."""


@pytest.fixture
def extension(ports: FreePorts) -> Iterator[StartedOrchestrations]:
    with serving(StartedOrchestrations(ports())) as server:
        yield server


@pytest.fixture
def settings(azurite: Azurite, sandbox: Sandbox) -> dict[str, str]:
    """The example's settings, with the addresses of this session: all that the worker's process has."""
    values: dict[str, str] = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    return values | {
        "AzureWebJobsStorage": azurite.connection_string,
        "STRIPE_API_BASE": sandbox.payments,
        "SMTP_URL": sandbox.smtp,
        "PUSH_CONNECTION": sandbox.push_connection,
        "ALERT_WEBHOOK_URL": f"{sandbox.mail}/sandbox/alerts",
    }


@pytest.fixture
def worker(tree: Path, settings: dict[str, str], tmp_path: Path, worker_library: None) -> Iterator[FunctionsWorker]:
    with FunctionsWorker(tree, settings, tmp_path / "worker.log") as worker:
        answer = worker.ask("init")
        assert answer["ok"], answer["error"]
        yield worker


def triggers(worker: FunctionsWorker) -> dict[str, set[str]]:
    """The names of the functions, by the type of their trigger."""
    types: dict[str, set[str]] = {}
    for name, function in worker.functions().items():
        (trigger,) = (each["type"] for each in function["bindings"] if each["type"].endswith("Trigger"))
        types.setdefault(trigger, set()).add(name)
    return types


@pytest.mark.slow
def test_the_worker_indexes_and_loads_every_function(worker: FunctionsWorker) -> None:
    types = triggers(worker)
    assert types["orchestrationTrigger"] == ORCHESTRATORS
    assert types["activityTrigger"] == ACTIVITIES
    assert types["httpTrigger"] >= {"place_order", "get_order", "put_inventory", "get_inventory", "health"}
    refused = [name for name, each in worker.functions().items() if not worker.ask("load", id=each["id"])["ok"]]
    assert refused == []


@pytest.mark.slow
def test_an_order_goes_from_the_post_through_the_saga_to_its_first_activity(
    worker: FunctionsWorker, extension: StartedOrchestrations
) -> None:
    stocked = worker.invoke(
        "put_inventory",
        req=http("PUT", f"inventory/{SKU}", {"on_hand": 5, "price_minor": 1900, "currency": "gbp"}, sku=SKU),
    )
    assert stocked["http"]["status_code"] in {"200", "201"}, stocked

    order_id = f"deployed-{uuid.uuid4()}"
    accepted = worker.invoke(
        "place_order", req=http("POST", "orders", order(order_id)), client={"string": extension.binding}
    )
    assert accepted["http"]["status_code"] == "202", accepted
    (method, path, body) = extension.calls[-1]
    assert (method, path) == ("POST", f"/durabletask/orchestrators/order_saga/{order_id}")

    first_turn = request(beginning("order_saga", order_id, body))
    decided = json.loads(worker.invoke("order_saga", context={"string": first_turn})["json"])
    ((action,),) = decided["actions"]
    called, deadline = action["compoundActions"]
    assert (called["actionType"], called["functionName"], decided["isDone"]) == (0, "validate_order", False)
    assert deadline["actionType"] == 5

    answer = json.loads(worker.invoke("validate_order", task={"string": called["input"]})["json"])
    assert answer.pop("left").keys() == {"etag", "notes"}
    assert answer == {"kind": "done", "total": {"amount_minor": 3800, "currency": "gbp"}}


@pytest.mark.slow
def test_the_api_document_and_its_pages_are_served(worker: FunctionsWorker) -> None:
    document, front, page, script = (
        worker.invoke(name, req=http("GET", path, None, **parameters))["http"]
        for name, path, parameters in (
            ("openapi_document", "openapi.json", {}),
            ("front_page", "", {}),
            ("api_docs", "docs", {}),
            ("api_docs_asset", "docs/docs.js", {"asset": "docs.js"}),
        )
    )
    assert [answer["status_code"] for answer in (document, front, page, script)] == ["200"] * 4
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert committed["info"]["title"] in json.dumps(document), "the document is made where docs/ is not"
    assert "/api/docs" in json.dumps(front)


@pytest.mark.slow
def test_wrong_settings_answer_503_with_their_sentences_before_anything_is_written(
    tree: Path, settings: dict[str, str], tmp_path: Path, worker_library: None, extension: StartedOrchestrations
) -> None:
    wrong = {**settings, "STRIPE_API_KEY": "pk_test_x", "SHIPS_TO": ""}
    del wrong["MAIL_FROM"]
    with FunctionsWorker(tree, wrong, tmp_path / "worker.log") as worker:
        assert worker.ask("init")["ok"]
        requests = [
            worker.invoke("health", req=http("GET", "health", None)),
            worker.invoke(
                "place_order", req=http("POST", "orders", order("never")), client={"string": extension.binding}
            ),
        ]
    for answer in requests:
        assert answer["http"]["status_code"] == "503", answer
        problem = json.dumps(answer["http"])
        assert [name for name in ("STRIPE_API_KEY", "MAIL_FROM", "SHIPS_TO") if name not in problem] == []
        assert "pk_test_x" not in problem
    assert extension.calls == []


# Which routes ask for no key: they change nothing, tell nothing, or are believed by a signature of their own.
ANONYMOUS = {
    "api_docs",
    "api_docs_asset",
    "cancel_tracked_order",
    "dashboard",
    "dashboard_asset",
    "front_page",
    "get_inventory",
    "health",
    "openapi_document",
    "requests_file",
    "stripe_webhook",
    "track_order",
}


@pytest.mark.slow
def test_every_route_but_the_named_ones_asks_for_a_function_key(worker: FunctionsWorker) -> None:
    levels = {
        name: binding["authLevel"].upper().rpartition(".")[2]
        for name, function in worker.functions().items()
        for binding in function["bindings"]
        if binding["type"] == "httpTrigger"
    }
    assert {name for name, level in levels.items() if level == "ANONYMOUS"} == ANONYMOUS
    assert {level for name, level in levels.items() if name not in ANONYMOUS} == {"FUNCTION"}


def http(method: str, path: str, body: Any, **route: str) -> dict[str, Any]:
    """An HTTP trigger's input; `route` are the values of the route's parameters."""
    headers = {"content-type": "application/json"}
    url = f"http://127.0.0.1:7071/api/{path}"
    return {"http": {"method": method, "url": url, "headers": headers, "params": route, "body": json.dumps(body)}}


def order(order_id: str) -> dict[str, Any]:
    address = {
        "name": "Ada Lovelace",
        "line1": "12 St James Sq",
        "city": "London",
        "postal_code": "SW1Y 4LB",
        "country": "GB",
    }
    return {
        "order_id": order_id,
        "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": SKU, "quantity": 2}],
        "payment_method": "pm_card_visa",
        "shipping_address": address,
    }


# The harness itself: what a real worker refuses, this one refuses

SAMPLE = """
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp()

@app.activity_trigger(input_name="task")
def work(task: {annotation}) -> dict:
    {body}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SAMPLE.format(annotation="dict[str, int]", body="return {}"), "cannot load the work function"),
        (SAMPLE.format(annotation="dict", body="return {}").replace("def work(task", "def work(job"), "{'job'}"),
        ("import devhost\n" + SAMPLE.format(annotation="dict", body="return {}"), "No module named 'devhost'"),
        ("x = 1\n", "Could not find top level function app"),
    ],
    ids=["generic annotation", "parameter without a binding", "import of what stays at home", "no app"],
)
def test_the_worker_refuses_what_would_not_start_in_azure(
    tmp_path: Path, worker_library: None, source: str, reason: str
) -> None:
    (tmp_path / "function_app.py").write_text(source)
    with FunctionsWorker(tmp_path, {}, tmp_path / "worker.log") as worker:
        answer = worker.ask("init")
    assert not answer["ok"]
    assert reason in answer["error"]


@pytest.mark.slow
def test_a_failing_activity_is_reported_in_the_worker_s_words(tmp_path: Path, worker_library: None) -> None:
    (tmp_path / "function_app.py").write_text(SAMPLE.format(annotation="dict", body="raise ValueError('no such task')"))
    with FunctionsWorker(tmp_path, {}, tmp_path / "worker.log") as worker:
        assert worker.ask("init")["ok"]
        id_ = worker.functions()["work"]["id"]
        answer = worker.ask("invoke", id=id_, inputs={"task": {"string": "{}"}})
    assert (answer["ok"], answer["error"]) == (False, "ValueError: no such task")
