"""The answer to a body, a parameter or a header that is wrong: a sentence of its own for each kind."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from api.orders import list_orders
from api.problems import Problem, read_body, refuse_unknown_parameters
from models.errors import Refused
from models.operations.order_list import Page
from services.stripe_webhooks import StripeSignatures

JSON = {"Content-Type": "application/json"}
SEEDED = settings(derandomize=True, deadline=None, max_examples=60, database=None)


class Inner(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    a: int = 0
    b: str = ""


class Body(Inner):
    inner: list[Inner] = []


def request(body: bytes, headers: Mapping[str, str] = JSON, **params: str) -> func.HttpRequest:
    return func.HttpRequest(
        method="POST", url="http://127.0.0.1/api/orders", headers=dict(headers), params=params, body=body
    )


def problem(body: bytes, headers: Mapping[str, str] = JSON, **params: str) -> dict[str, Any]:
    """The problem document that a body is answered with."""
    with pytest.raises(Problem) as raised:
        read_body(request(body, headers, **params), Body)
    response = raised.value.response()
    document: dict[str, Any] = json.loads(response.get_body())
    assert (response.mimetype, response.status_code) == ("application/problem+json", document["status"])
    return document


def pointers(document: Mapping[str, Any]) -> list[str]:
    return [error["pointer"] for error in document["errors"]]


# --- bodies ---


@pytest.mark.parametrize("kind", ["application/json", " Application/JSON ;charset=utf-8", "application/order+json"])
def test_a_body_that_is_declared_as_json_is_read(kind: str) -> None:
    assert read_body(request(b'{"a": 1}', {"Content-Type": kind}), Body).a == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        *({"Content-Type": kind} for kind in ("", "text/plain", "application/x-www-form-urlencoded", "json", "+json")),
        *({"Content-Type": kind} for kind in ("application/jsonp", "application/json-seq", "text/plain; +json")),
    ],
)
def test_a_body_that_is_not_declared_as_json_is_415(headers: Mapping[str, str]) -> None:
    document = problem(b'{"a": 1}', headers)
    assert document["status"] == 415
    assert document["detail"] == "The body must be JSON and declared so: send `Content-Type: application/json`."


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, JSON])
def test_an_empty_body_needs_no_type_and_says_so(headers: Mapping[str, str]) -> None:
    document = problem(b"", headers)
    assert (document["status"], pointers(document)) == (400, ["#"])
    assert document["detail"] == "The body is empty: send a JSON object."


def test_a_chunked_body_that_the_host_drops_is_named() -> None:
    document = problem(b"", {**JSON, "Transfer-Encoding": "chunked"})
    assert (document["status"], pointers(document)) == (400, ["#"])
    assert document["detail"] == "The body is empty: a chunked upload is not read here. Send a Content-Length."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"order me a chair", "The body is not JSON: Expecting value at line 1, column 1."),
        (b'{\n"a": 1', "The body is not JSON: Expecting ',' delimiter at line 2, column 7."),
        (b'{"a": 1} x', "The body is not JSON: Extra data at line 1, column 10."),
        (b"{'a': 1}", "The body is not JSON: "),
        (b'{"a": NaN}', "The body is not JSON: NaN is no value of it."),
        (b'{"a": -Infinity}', "The body is not JSON: -Infinity is no value of it."),
        (b'{"b": "\\ud83d"}', "The body is not JSON: "),
        (b'{"b": "a\nb"}', "The body is not JSON: Invalid control character"),
        (b"\xef\xbb\xbf{}", "The body is not JSON: "),
        (b'{"b": "\xff"}', "The body is not UTF-8."),
        ('{"a": 1}'.encode("utf-16"), "The body is not UTF-8."),
        (b"\0", "The body is not JSON: "),
        (b"[" * 100_000, "The body is nested too deeply."),
        (b'{"inner":' * 900 + b"1" + b"}" * 900, "The body is not"),
    ],
)
def test_a_body_that_is_no_json_is_answered_with_the_place_of_the_error(body: bytes, sentence: str) -> None:
    document = problem(body)
    assert (document["status"], pointers(document)) == (400, ["#"])
    assert document["detail"].startswith(sentence) or "nested too deeply" in document["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP, identity", "\ufffd"])
def test_a_compressed_body_is_named(encoding: str) -> None:
    document = problem(b"\x1f\x8b", {**JSON, "Content-Encoding": encoding})
    assert (document["status"], pointers(document)) == (400, ["#"])
    assert document["detail"].startswith("The body is compressed")
    assert read_body(request(b"{}", {**JSON, "Content-Encoding": "Identity"}), Body) == Body()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"a": 1, "a": 2}', ["#/a"]),
        (b'{"a": 1, "a": 1}', ["#/a"]),
        (b'{"a": 1, "\\u0061": 2}', ["#/a"]),
        (b'{"inner": [{"a": 1}, {"a": 1, "b": "", "a": 2, "b": ""}], "a": 1}', ["#/inner/1/a", "#/inner/1/b"]),
        (b'{"unknown": {"a": 1, "a": 2}}', ["#/unknown/a", "#/unknown"]),
        (b'{"a/b~c": 1, "a/b~c": 2}', ["#/a~1b~0c"]),
        ('{"é ": 1, "é ": 2}'.encode(), ["#/%C3%A9%20"]),
        (b'{"\\ud800": 1, "\\ud800": 2}', ["#/?", "#"]),
        (b'{"": 1, "": 2}', ["#/"]),
    ],
)
def test_a_name_that_stands_twice_is_refused_by_name(body: bytes, named: list[str]) -> None:
    document = problem(body)
    assert (document["status"], pointers(document)) == (400, named)
    assert document["errors"][0]["detail"] == "This name stands twice in one object."


def test_the_same_name_in_two_objects_is_no_duplicate() -> None:
    assert len(read_body(request(b'{"a": 1, "inner": [{"a": 1}, {"a": 1}]}'), Body).inner) == 2


def test_the_limit_goes_before_everything_else() -> None:
    assert problem(b"x" * (256 * 1024 + 1), {})["status"] == 413


@SEEDED
@given(st.binary(max_size=200), st.sampled_from(["application/json", "x"]))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    try:
        read_body(request(body, {"Content-Type": kind}), Body)
    except Problem as problem:
        assert 400 <= problem.response().status_code < 500


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=10,
)


@SEEDED
@given(JSONS)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        read_body(request(json.dumps(content).encode()), Body)
    except Problem as problem:
        assert problem.response().status_code == 400


# --- the query ---


def listed(**params: str) -> Any:
    """The answer of the list, or the problem document."""

    class Index:
        def page(self, *arguments: Any) -> Page:
            return Page((), None)

    request = func.HttpRequest(method="GET", url="http://127.0.0.1/api/orders", params=params, body=b"")
    try:
        return json.loads(asyncio.run(list_orders(request, Index())).get_body())
    except Problem as problem:
        return json.loads(problem.response().get_body())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("top", ["0", "101", "-1", "+1", "1.0", "many", "٣", "²", "1 ", "9" * 5000]),
        ("status", ["unknown", "Completed", "completed,running"]),
        ("continuation", ["x", "1", "1:2", "\ufffd"]),
        ("from", ["yesterday", "2026-13-01", "2026-02-30", "20260131", "2026-W05-6", "\u0662026-01-31", "0001-01-01"]),
        ("to", ["2026-01-31T00:00:00", "9999-12-31", "1969-12-31", "2026-1-1"]),
    ],
)
def test_a_wrong_parameter_is_named_by_a_json_pointer(name: str, wrong: list[str]) -> None:
    for text in wrong:
        document = listed(**{name: text})
        assert (document["status"], pointers(document)) == (400, [f"#/{name}"])
        assert document["detail"].startswith(f"{name}: ")


@pytest.mark.parametrize("day", ["1970-01-01", "9998-12-31", "2026-02-28"])
def test_any_day_of_the_calendar_can_be_asked_for(day: str) -> None:
    assert listed(to=day) == {"orders": [], "continuation": None}


def test_a_parameter_that_does_not_exist_is_named_beside_those_that_do() -> None:
    document = listed(state="completed", limit="3")
    assert (document["status"], pointers(document)) == (400, ["#/state", "#/limit"])
    sentence = "There is no such parameter; there are status, to, from, top, continuation."
    assert {error["detail"] for error in document["errors"]} == {sentence}


def test_the_function_key_in_the_query_is_the_hosts_own() -> None:
    assert listed(code="a-key", clientId="default")["orders"] == []
    assert read_body(request(b"{}", code="a-key"), Body) == Body()


def test_a_route_with_a_body_has_no_parameters() -> None:
    document = problem(b"{}", dry_run="true")
    assert (document["status"], pointers(document)) == (400, ["#/dry_run"])
    assert document["detail"] == "dry_run: There is no such parameter; there are none here."


@SEEDED
@given(st.dictionaries(st.text(st.characters(exclude_categories=())), st.text(), max_size=3))
def test_any_parameters_are_refused_in_words(params: dict[str, str]) -> None:
    request = func.HttpRequest(method="GET", url="http://127.0.0.1/", params=params, body=b"")
    try:
        refuse_unknown_parameters(request)
    except Problem as problem:
        assert problem.response().status_code == 400
        assert len(problem.response().get_body()) < 5000


# --- the signature of a webhook ---


@SEEDED
@given(st.text(st.characters(exclude_categories=())) | st.text("t=v10,. ٣é\ufffd").map(lambda text: f"t=1,v1={text}"))
def test_a_signature_of_any_characters_is_a_wrong_one(signature: str) -> None:
    with pytest.raises(Refused):
        StripeSignatures("whsec_x").check(b"{}", signature)


@pytest.mark.parametrize("signature", ["t=1,v1=é", "t=1,v1=\udcff", "t=٣,v1=a", f"t={10**4000},v1=a", "t=,v1=", ""])
def test_signatures_that_were_a_traceback_are_wrong_ones(signature: str) -> None:
    with pytest.raises(Refused):
        StripeSignatures("whsec_x").check(b"{}", signature)
