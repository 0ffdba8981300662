"""The HTTP edge: function routes by the Functions host's rules, and the Durable API beside them."""

import gzip
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devhost.settings import BadSettings, load
from tests.devhost.support.hosts import Devhost, until
from tests.devhost.support.provider_oracle import judged
from tests.support.servers import Azurite, FreePorts


def test_a_request_arrives_as_the_functions_host_shows_it(host: Devhost) -> None:
    reply = host.request("PUT", "/api/SHOW/Word/7?a=1&a=2&empty=&b=%C5%81", b"text", **{"X-Two": "2"})
    shown = reply.json
    assert (shown["method"], shown["body"]) == ("PUT", "text")
    assert shown["route"] == {"word": "Word", "number": "7"}
    assert shown["params"] == {"a": "1,2", "b": "Ł"}
    assert shown["headers"]["x-two"] == "2"
    assert shown["url"] == f"{host.url}/api/SHOW/Word/7?a=1&a=2&empty=&b=%C5%81"
    assert reply.headers["X-Shown"] == "yes"
    assert reply.headers["Content-Type"] == "application/json"


def test_an_optional_segment_may_be_missing(host: Devhost) -> None:
    assert host.get("/api/show/word/").json["route"] == {"word": "word"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/show/word7"),
        ("GET", "/api/show/word/seven"),
        ("GET", "/api/unknown"),
        ("GET", "/unknown"),
        ("POST", "/api/bare"),
        ("DELETE", "/api/first/x"),
        ("GET", "/api/off"),
        ("GET", "/runtime/webhooks/durabletask/nothing"),
        ("PUT", "/runtime/webhooks/durabletask/instances/x"),
    ],
)
def test_what_no_route_takes_is_404_without_a_body(host: Devhost, method: str, path: str) -> None:
    reply = host.request(method, path, b"" if method == "POST" else None)
    assert (reply.status, reply.body) == (404, b"")


def test_the_first_registered_route_wins(host: Devhost) -> None:
    assert host.get("/api/first/literal").text == "the word"


def test_a_catch_all_takes_the_rest_of_the_path(host: Devhost) -> None:
    assert host.get("/api/files/a/b%20c/d.txt").text == "a/b c/d.txt"
    assert host.get("/api/files").text == "nothing"


def test_a_function_without_a_route_goes_by_its_name_and_may_print(host: Devhost) -> None:
    assert host.get("/api/bare").text == "bare"
    assert "a print must not disturb the frames" in host.log


def test_a_blueprint_belongs_to_the_app(host: Devhost) -> None:
    assert host.get("/api/blue").text == "print"


@pytest.mark.parametrize(("path", "words"), [("boom", "secret of the log"), ("wrong", "must return func.HttpResponse")])
def test_a_failing_function_answers_500_without_a_body(host: Devhost, path: str, words: str) -> None:
    reply = host.get(f"/api/{path}")
    assert (reply.status, reply.body) == (500, b"")
    assert words in host.log


def test_a_text_that_describes_a_response_becomes_it(host: Devhost) -> None:
    reply = host.get("/api/sniffed")
    assert (reply.status, reply.json, reply.headers["X-Sniffed"]) == (201, {"a": 1}, "yes")


def test_cookies_and_an_empty_body_are_kept(host: Devhost) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    connection.request("GET", "/api/cookies")
    response = connection.getresponse()
    assert (response.status, response.read()) == (204, b"")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    connection.close()


def test_bodies_have_a_limit_and_chunked_ones_arrive_empty(host: Devhost) -> None:
    assert host.request("POST", "/api/size", b"x" * 3_000_000).text == "3000000"
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    connection.putrequest("POST", "/api/size")
    connection.putheader("Content-Length", str(104_857_601))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    chunked = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    chunked.request("POST", "/api/size", iter([b"abc"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert chunked.getresponse().read() == b"0"
    chunked.close()


@pytest.mark.parametrize(
    "path", ["/", "/api/bare", "/api/nothing", "/durabletask/instances", "/runtime/webhooks/durabletask/x"]
)
def test_a_web_page_cannot_reach_a_laptop(host: Devhost, path: str) -> None:
    """The rules themselves are tested in tests/unit/devtools/test_visitors.py."""
    for foreign in ("evil.example", f"127.0.0.1.evil.example:{host.port}", ""):
        reply = host.get(path, Host=foreign)
        assert (reply.status, "--allow-host" in reply.text) == (421, True)
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            assert host.request(method, path, None, **headers).status == 403
    same = host.get(path)
    followed = host.get(path, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert (followed.status, followed.body) == (same.status, same.body)
    assert host.get(path, Host="localhost", Origin="http://localhost").status == same.status


def test_hosts_keys_and_the_size_of_bodies_are_settings(new_host: Callable[..., Devhost]) -> None:
    arguments = ("--allow-host", "tunnel.example", "--enable-auth")
    settings = {"DEVHOST_FUNCTION_KEY": "k", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000"}
    host = new_host(arguments=arguments, settings=settings).start()
    key = {"x-functions-key": "k"}
    assert host.get("/api/bare", Host="tunnel.example", **key).text == "bare"
    assert host.get("/api/bare", Host="evil.example", **key).status == 421
    assert host.get("/api/bare", Origin="https://evil.example", **key).text == "bare"
    assert host.get("/api/bare", Origin="https://evil.example").status == 401
    json_key = {**key, "Content-Type": "application/json"}
    for path in ("/api/size", host.api("/orchestrators/echo"), "/durabletask/orchestrators/echo"):
        assert host.request("POST", path, b'"' + b"x" * 998 + b'"', **json_key).status < 300
        assert host.request("POST", path, b'"' + b"x" * 999 + b'"', **json_key).status == 413


def test_a_compressed_body_is_handed_through(host: Devhost) -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    assert host.request("POST", "/api/size", packed, **{"Content-Encoding": "gzip"}).text == str(len(packed))


@pytest.mark.parametrize("limit", ["0x10", "-1", "many", "1e3", "٣"])
def test_a_limit_that_is_no_number_of_bytes_is_refused_with_one_sentence(limit: str, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    environment = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": limit}
    with pytest.raises(BadSettings, match="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be a whole number of bytes"):
        load(tmp_path, environment)


def test_the_home_page_says_that_the_app_runs(host: Devhost) -> None:
    assert "up and running" in host.get("/").text


# --- the Durable API ---


def test_a_start_answers_202_with_every_url(host: Devhost) -> None:
    reply = host.post(host.api("/orchestrators/echo/by-http?code=x"), {"a": 1})
    assert reply.status == 202
    base = f"{host.url}/runtime/webhooks/durabletask/instances/by-http"
    query = f"taskHub={host.hub}&connection=Storage&code="
    assert reply.json == {
        "id": "by-http",
        "statusQueryGetUri": f"{base}?{query}",
        "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{base}/terminate?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{base}?{query}",
        "restartPostUri": f"{base}/restart?{query}",
        "suspendPostUri": f"{base}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{base}/resume?reason={{text}}&{query}",
    }
    assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
    assert reply.headers["Retry-After"] == "10"
    assert host.finished("by-http")["output"] == {"a": 1}


def test_the_same_urls_come_from_the_sdk(host: Devhost) -> None:
    reply = host.post("/api/start/echo?id=by-sdk")
    assert reply.json["statusQueryGetUri"].startswith(f"{host.url}/runtime/webhooks/durabletask/instances/by-sdk?")
    assert host.get(reply.json["statusQueryGetUri"]).status in (200, 202)


def test_a_start_that_waits_answers_with_the_output_alone(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/chain?timeout=10&pollingInterval=0.05"), "2").json == 16
    assert host.post(host.api("/orchestrators/approval?timeout=0.1&pollingInterval=0.05")).status == 202
    assert host.post(host.api("/orchestrators/chain?timeout=1&pollingInterval=5")).status == 400


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/orchestrators/chian", {}, "The function 'chian' doesn't exist"),
        ("/orchestrators/echo/@x", {}, "must not begin with '@'"),
        (f"/orchestrators/echo/{'x' * 257}", {}, "256 characters"),
        ("/orchestrators/echo/a%23b", {}, "must not contain"),
    ],
)
def test_a_bad_start_is_400_and_says_why(host: Devhost, path: str, content: object, words: str) -> None:
    reply = host.post(host.api(path), content)
    assert reply.status == 400
    assert words in reply.json["ExceptionMessage"]


def test_a_start_with_bad_json_is_400(host: Devhost) -> None:
    kind = {"Content-Type": "application/json"}
    reply = host.request("POST", host.api("/orchestrators/echo"), b"{", **kind)
    assert (reply.status, reply.json["Message"]) == (400, "Invalid JSON content")
    assert host.request("POST", host.api("/orchestrators/echo"), b"[" * 100_000, **kind).status == 400


def test_a_second_start_of_a_running_id_is_refused_and_of_a_finished_one_not(host: Devhost) -> None:
    host.begin("approval", None, "twice")
    until(lambda: host.status("twice")["runtimeStatus"] == "Running")
    reply = host.post(host.api("/orchestrators/approval/twice"))
    assert reply.status == 500
    assert reply.json["ExceptionMessage"] == "An Orchestration instance with the status Running already exists."
    host.event("twice", "answer", 1)
    host.finished("twice")
    assert host.post(host.api("/orchestrators/echo/twice"), {"again": 1}).status == 202
    until(lambda: host.status("twice")["name"] == "echo")


def test_the_status_follows_the_instance(host: Devhost) -> None:
    instance = host.begin("approval", 60)
    until(lambda: host.status(instance)["customStatus"] == "waiting")
    reply = host.get(host.api(f"/instances/{instance}"))
    assert (reply.status, reply.headers["Retry-After"]) == (202, "5")
    assert reply.headers["Location"] == f"{host.url}{host.api(f'/instances/{instance}')}"
    assert set(reply.json) == {
        *("name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime")
    }
    assert host.status(instance, "?showInput=false")["input"] is None
    assert host.get(host.api("/instances/unknown")).status == 404
    host.event(instance, "answer", 1)
    host.finished(instance)
    assert host.get(host.api(f"/instances/{instance}")).status == 200


def test_a_failed_instance_is_500_only_when_asked(host: Devhost) -> None:
    instance = host.run("raises")["instanceId"]
    assert host.get(host.api(f"/instances/{instance}")).status == 200
    assert host.get(host.api(f"/instances/{instance}?returnInternalServerErrorOnFailure=true")).status == 500


def test_the_history_is_shown_for_readers(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    history = host.status(instance, "?showHistory=true&showHistoryOutput=true")["historyEvents"]
    kinds = ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"]
    assert [entry["EventType"] for entry in history] == kinds
    assert history[0]["FunctionName"] == "chain"
    assert (history[1]["FunctionName"], history[1]["Result"]) == ("double", 2)
    assert history[1]["ScheduledTime"] < history[1]["Timestamp"]
    assert (history[-1]["OrchestrationStatus"], history[-1]["Result"]) == ("Completed", 8)
    assert "TaskScheduledId" not in history[1]
    without = host.status(instance, "?showHistory=true&showInput=false")["historyEvents"]
    assert not any("Result" in entry or "Input" in entry for entry in without)


def test_the_sdk_reads_the_status(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    asked = host.get(f"/api/client/{instance}").json
    assert asked == {"status": "OrchestrationRuntimeStatus.Completed", "output": 8, "truth": True}


def test_events_are_refused_by_the_state_of_their_instance(host: Devhost) -> None:
    done = host.run("plain")["instanceId"]
    assert host.event("unknown", "x", 1).status == 404
    assert host.event(done, "x", 1).status == 410
    running = host.begin("approval")
    path = host.api(f"/instances/{running}/raiseEvent/answer")
    assert host.request("POST", path, b"1", **{"Content-Type": "text/plain"}).status == 415
    assert host.request("POST", path, b"{", **{"Content-Type": "application/json"}).status == 400
    assert host.request("POST", path, b"", **{"Content-Type": "application/json"}).status == 400
    assert (host.event(running, "answer", 1).status, host.event(running, "x", 1).body) == (202, b"")


def test_terminate_ends_an_instance_with_its_reason(host: Devhost) -> None:
    instance = host.begin("approval")
    path = host.api(f"/instances/{instance}/terminate?reason=no%20more")
    assert host.post(path).status == 202
    status = host.finished(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "no more")
    assert host.post(path).status == 410
    assert host.post(host.api("/instances/unknown/terminate")).status == 404


def test_purge_takes_every_trace(host: Devhost) -> None:
    instance = host.run("large_texts", {"size": 100_000, "padding": ""})["instanceId"]
    reply = host.delete(host.api(f"/instances/{instance}"))
    assert (reply.status, reply.json) == (200, {"instancesDeleted": 1})
    assert host.rows("Instances", instance) + host.rows("History", instance) == []
    assert host.delete(host.api(f"/instances/{instance}")).status == 404


def test_a_running_instance_can_be_purged(host: Devhost) -> None:
    instance = host.begin("approval")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    assert host.delete(host.api(f"/instances/{instance}")).status == 200
    assert host.get(host.api(f"/instances/{instance}")).status == 404


def test_instances_are_listed_by_prefix_status_and_page(host: Devhost) -> None:
    for number in range(3):
        host.run("plain", None, f"listed-{number}")
    host.begin("approval", None, "listed-3")
    until(lambda: host.status("listed-3")["runtimeStatus"] == "Running")
    everything = host.get(host.api("/instances?instanceIdPrefix=listed-")).json
    assert [entry["instanceId"] for entry in everything] == [f"listed-{number}" for number in range(4)]
    running = host.get(host.api("/instances/?instanceIdPrefix=listed-&runtimeStatus=Running,Pending")).json
    assert [entry["instanceId"] for entry in running] == ["listed-3"]
    page = host.get(host.api("/instances?instanceIdPrefix=listed-&top=3"))
    rest = host.get(
        host.api("/instances?instanceIdPrefix=listed-&top=3"),
        **{"x-ms-continuation-token": page.headers["x-ms-continuation-token"]},
    )
    assert (len(page.json), len(rest.json)) == (3, 1)
    assert "x-ms-continuation-token" not in rest.headers
    assert host.get(host.api("/instances?top=none")).status == 400
    assert host.get(host.api("/instances?createdTimeFrom=2999-01-01T00:00:00Z")).json == []


def test_finished_instances_are_purged_by_time(new_host: Callable[..., Devhost]) -> None:
    host = new_host().start()
    host.run("plain")
    running = host.begin("approval")
    assert host.delete(host.api("/instances")).json == "Please provide value for 'createdTimeFrom' parameter."
    reply = host.delete(host.api("/instances?createdTimeFrom=2020-01-01T00:00:00Z"))
    assert reply.json == {"instancesDeleted": 1}
    assert host.delete(host.api("/instances/?createdTimeFrom=2020-01-01T00:00:00Z")).status == 404
    assert host.status(running)["runtimeStatus"] in ("Pending", "Running")


def test_keys_are_asked_for_only_when_told_to(new_host: Callable[..., Devhost]) -> None:
    host = new_host(arguments=("--enable-auth",), settings={"DEVHOST_FUNCTION_KEY": "a-key"}).start()
    assert host.get("/api/bare").status == 401
    assert host.get("/api/bare", **{"x-functions-key": "another"}).status == 401
    assert host.get("/api/bare", **{"x-functions-key": "a-key"}).text == "bare"
    assert host.get("/api/bare?code=a-key").text == "bare"
    assert host.get("/api/files/x").text == "x"
    started = host.post("/api/start/echo?code=a-key")
    assert host.get(started.json["statusQueryGetUri"]).status in (200, 202)


@pytest.fixture(scope="module")
def keyed_host(
    azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Devhost, str]]:
    """A devhost that asks for keys, and where its worker's client calls. The key is of characters that URLs escape."""
    folder = tmp_path_factory.mktemp("keyed")
    settings = {"DEVHOST_FUNCTION_KEY": KEY}
    with judged(
        Devhost(azurite.connection_string, ports(), folder, arguments=("--enable-auth",), settings=settings)
    ) as it:
        yield it, it.get("/api/address", **{"x-functions-key": KEY}).text.removesuffix("/")


KEY = "a key&of=odd/characters"
BASES = ("/runtime/webhooks/durabletask", "/durabletask", "/DurableTask", "/durabletask/a-guess", "/durabletask/")
ASKED = [
    ("GET", "/instances"),
    ("GET", "/instances/x"),
    ("DELETE", "/instances/x"),
    ("DELETE", "/instances?createdTimeFrom=2020-01-01"),
    ("POST", "/orchestrators/echo/uninvited"),
    ("POST", "/instances/x/terminate"),
    ("POST", "/instances/x/raiseEvent/y"),
    ("GET", "/entities"),
    ("GET", "/entities/counter/x"),
    ("POST", "/entities/counter/x?op=add"),
    ("GET", "/makeprimary"),
    ("GET", "/nothing"),
    ("GET", "/"),
]


@pytest.mark.parametrize("base", BASES)
def test_the_durable_api_asks_for_the_key_at_each_of_its_addresses(keyed_host: tuple[Devhost, str], base: str) -> None:
    host, _ = keyed_host
    for method, path in ASKED:
        for headers in ({}, {"x-functions-key": "wrong"}, {"x-functions-key": "\xff\xfe"}):
            reply = host.request(method, base + path, None, **headers)
            assert (reply.status, reply.body) == (401, b""), (method, path, headers)
    assert host.get(host.api("/instances/uninvited"), **{"x-functions-key": KEY}).status == 404


def test_the_key_opens_the_durable_api_at_both_addresses(keyed_host: tuple[Devhost, str]) -> None:
    host, _ = keyed_host
    for base in ("/runtime/webhooks/durabletask", "/durabletask"):
        assert host.get(f"{base}/instances", **{"x-functions-key": KEY}).status == 200
    started = host.request("POST", host.api("/orchestrators/echo"), None, **{"x-functions-key": KEY})
    assert host.get(started.json["statusQueryGetUri"]).status in (200, 202)


def test_the_worker_has_a_secret_of_its_own_which_nobody_else_sees(keyed_host: tuple[Devhost, str]) -> None:
    host, base = keyed_host
    assert host.get(f"{base}/instances").status == 200
    assert host.get(f"{base[:-1]}/instances").status == 401
    secret = base.rsplit("/", 1)[1]
    assert len(secret) >= 32
    asked = {"x-functions-key": KEY}
    answers = [host.request("POST", "/api/start/echo", b"1", **asked), host.get(f"{base}/instances"), host.get("/")]
    assert not any(secret in answer.text + str(answer.headers) for answer in answers)
    assert secret not in host.log
    assert host.process is not None
    command, environment = (Path(f"/proc/{host.process.pid}/{each}") for each in ("cmdline", "environ"))
    assert not command.exists() or secret not in command.read_text() + environment.read_text()
