"""Function routes by the Functions host's rules, and the limits of every request."""

import gzip
import http.client
from collections.abc import Callable
from pathlib import Path

import pytest

from devhost.settings import BadSettings, load
from tests.devhost.support.hosts import Devhost


def test_a_request_arrives_as_the_functions_host_shows_it(host: Devhost) -> None:
    response = host.request("PUT", "/api/SHOW/Word/7?a=1&a=2&empty=&b=%C5%81", b"text", **{"X-Two": "2"})
    shown = response.json()
    assert (shown["method"], shown["body"]) == ("PUT", "text")
    assert shown["route"] == {"word": "Word", "number": "7"}
    assert shown["params"] == {"a": "1,2", "b": "Ł"}
    assert shown["headers"]["x-two"] == "2"
    assert shown["url"] == f"{host.url}/api/SHOW/Word/7?a=1&a=2&empty=&b=%C5%81"
    assert response.headers["X-Shown"] == "yes"
    assert response.headers["Content-Type"] == "application/json"


def test_an_optional_segment_may_be_missing(host: Devhost) -> None:
    assert host.get("/api/show/word/").json()["route"] == {"word": "word"}


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
    response = host.request(method, path, b"" if method == "POST" else None)
    assert (response.status, response.body) == (404, b"")


def test_the_route_of_the_first_function_by_name_wins(host: Devhost) -> None:
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
    response = host.get(f"/api/{path}")
    assert (response.status, response.body) == (500, b"")
    assert words in host.log


def test_a_text_that_describes_a_response_becomes_it(host: Devhost) -> None:
    response = host.get("/api/sniffed")
    assert (response.status, response.json(), response.headers["X-Sniffed"]) == (201, {"a": 1}, "yes")


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
        response = host.get(path, Host=foreign)
        assert (response.status, "--allow-host" in response.text) == (421, True)
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
