"""Who may ask a server on this machine: programs, its own pages, and nobody else's."""

import argparse

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from loopback.visitors import ALLOW_HOST, Visitors, host_name

HOST = ("Host", "127.0.0.1:7071")
NAVIGATION = ("Sec-Fetch-Mode", "navigate")


def status(*headers: tuple[str, str], method: str = "GET", keyless: bool = True, names: tuple[str, ...] = ()) -> int:
    """The status of a refusal; 0: it is let in."""
    refused = Visitors(names).refused(method, CIMultiDictProxy(CIMultiDict(headers)), keyless=keyless)
    return refused.status if refused else 0


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "127.0.0.1:7071", "localhost:1", "[::1]:65535", "LocalHost:80"),
        *("my-tunnel.example", "My-Tunnel.Example:443"),
    ],
)
def test_loopback_names_and_allowed_ones_are_answered_on_any_port(host: str) -> None:
    assert status(("Host", host), names=("my-tunnel.example",)) == 0


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:7071", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example"),
        *("127.0.0.2", "0.0.0.0", "[::]", "::1", "[::1", "127.1", "2130706433", "localhost.", "my-tunnel.example."),
        *("user@localhost", "localhost:port", "localhost:", "localhost:123456", "localhost, evil.example", "", " "),
        *("localhost/evil", "localhost#", "l\u043ecalhost", "localhost\udcff", "\u217cocalhost"),
    ],
)
@pytest.mark.parametrize("keyless", [True, False])
def test_any_other_host_is_misdirected_with_or_without_a_key(host: str, keyless: bool) -> None:
    assert status(("Host", host), keyless=keyless, names=("my-tunnel.example",)) == 421


def test_a_request_without_one_host_is_none() -> None:
    assert status() == 400
    assert status(HOST, HOST) == 400
    assert status(HOST, ("Host", "evil.example")) == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "http://localhost:7071"),  # another name of the same server is another origin
        ("Origin", "http://127.0.0.1:3000"),
        ("Origin", "http://127.0.0.1"),
        ("Origin", "http://127.0.0.1:7071.evil.example"),
        ("Origin", "http://evil.example/127.0.0.1:7071"),
        ("Origin", "file://127.0.0.1:7071"),
        ("Origin", "null"),
        ("Origin", ""),
        ("Origin", "\udcff"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", " Cross-Site"),
    ],
)
def test_a_page_of_another_site_is_forbidden_while_no_key_is_asked_for(method: str, header: tuple[str, str]) -> None:
    assert status(HOST, header, method=method) == 403
    assert status(HOST, header, method=method, keyless=False) == 0


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "http://127.0.0.1:7071")],
        [("Origin", "HTTPS://127.0.0.1:7071"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none"), NAVIGATION],
    ],
)
def test_programs_and_the_servers_own_pages_are_let_in(headers: list[tuple[str, str]]) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert status(HOST, *headers, method=method) == 0


def test_a_form_of_our_own_page_without_a_referrer_is_let_in_and_a_sandboxed_frame_is_not() -> None:
    """Both have the origin `null`; the browser alone says which site it is."""
    hidden = ("Origin", "null")
    assert status(HOST, hidden, ("Sec-Fetch-Site", "same-origin"), method="POST") == 0
    for site in ("cross-site", "same-site", "none", ""):
        assert status(HOST, hidden, ("Sec-Fetch-Site", site), method="POST") == 403
    assert (
        status(HOST, hidden, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"), method="POST") == 403
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_only_a_get_that_a_person_follows_may_come_from_another_site(site: str) -> None:
    assert status(HOST, ("Sec-Fetch-Site", site), NAVIGATION) == 0
    assert status(HOST, ("Sec-Fetch-Site", site), NAVIGATION, ("Origin", "null")) == 0
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert status(HOST, ("Sec-Fetch-Site", site), NAVIGATION, method=method) == 403
    for mode in ("no-cors", "cors", "websocket", "nested-navigate", ""):
        assert status(HOST, ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)) == 403


def test_two_answers_of_a_browser_are_judged_by_the_worse() -> None:
    own, foreign = ("Origin", "http://127.0.0.1:7071"), ("Origin", "https://evil.example")
    assert status(HOST, own, foreign) == 403
    assert status(HOST, own, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")) == 403
    assert status(HOST, own, ("Sec-Fetch-Site", "cross-site")) == 403


def test_hosts_are_allowed_by_name_and_without_their_port() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--allow-host", **ALLOW_HOST)
    assert parser.parse_args([]).allow_host == []
    assert parser.parse_args(["--allow-host", "A.example:80", "--allow-host", "b"]).allow_host == ["a.example", "b"]
    for wrong in ("", "http://a.example", "a b", "a/b", "*"):
        with pytest.raises(argparse.ArgumentTypeError):
            host_name(wrong)
