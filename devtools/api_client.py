"""A client of the public API: the deployment's address and key, and its refusals as sentences."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from devtools.trouble import Trouble

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEY_VARIABLE = "ORDER_API_KEY"


class Refused(Trouble):
    """The API refused a request. `status` is the HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Away(Trouble):
    """No answer, or a 503: a retry in a moment may succeed."""


@dataclass(frozen=True)
class Target:
    """A deployment. `origin` is scheme, host and port; `urls` is the urls.json of `start`, for the product it runs."""

    origin: str
    key: str | None
    urls: Mapping[str, Any] | None = None

    @property
    def is_local(self) -> bool:
        return urlsplit(self.origin).hostname in LOOPBACK


def target(url: str | None, key: str | None, data: Path) -> Target:
    """The named deployment, else the product that `dev.py start --data DATA` runs. Raises Trouble."""
    key = key or os.environ.get(KEY_VARIABLE) or None
    if url is None:
        urls = started(data)
        return Target(str(urls["host"]), key, urls)
    parts = _parts(url)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise Trouble("--url is the origin alone, such as https://shop.azurewebsites.net: without /api.")
    deployment = Target(f"{parts.scheme}://{parts.netloc}", key, _started_there(parts, data))
    if key and parts.scheme != "https" and not deployment.is_local:
        raise Trouble("--url must begin with https://, because the function key would travel in clear.")
    return deployment


def _started_there(parts: Any, data: Path) -> dict[str, Any] | None:
    """The urls.json of the product that `start` runs, if the address names that product."""
    try:
        urls = started(data)
    except Trouble:
        return None
    own = urlsplit(str(urls["host"]))
    same = parts.hostname in LOOPBACK and parts.port == own.port and parts.scheme == own.scheme
    return urls if same else None


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed or parts.username is not None:
        raise Trouble("--url must be an http or https address without a user name, such as http://127.0.0.1:7071.")
    return parts


def started(data: Path) -> dict[str, Any]:
    """The urls.json of a running product. Raises Trouble for one that is missing, unreadable or damaged."""
    file = data / "urls.json"
    try:
        urls: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Trouble(
            "No product runs here: start one with `python3 dev.py start`, or name a deployment with --url."
        ) from None
    except OSError as fault:
        raise Trouble(f"{file} cannot be read ({fault.strerror}): start the product again, or use --url.") from None
    except (ValueError, RecursionError):
        urls = {"host": None}
    if not isinstance(urls, dict) or not isinstance(urls.get("host", ""), str):
        raise Trouble(f"{file} is damaged: start the product again, or name it with --url.")
    if "host" not in urls:
        raise Trouble("`dev.py start --no-host` runs no host of its own: name yours with --url.")
    return urls


def order_path(order_id: str, *more: str) -> str:
    return "/api/orders/" + "/".join(quote(each, safe="") for each in (order_id, *more))


def client_options(to: Target) -> dict[str, Any]:
    """For httpx: the key in a header, never in a URL; no proxy of the environment for this machine; no redirects."""
    headers = {"Accept": "application/json", **({"x-functions-key": to.key} if to.key else {})}
    return {
        "base_url": to.origin,
        "headers": headers,
        "timeout": 30.0,
        "follow_redirects": False,
        "trust_env": not to.is_local,
    }


class Api:
    """Asks one deployment. Raises Refused for a 4xx, Away for no answer and for 503, Trouble for anything else."""

    def __init__(self, to: Target) -> None:
        self._to = to
        self._client = httpx.Client(**client_options(to))

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self._json("GET", path, params=params)

    def post(self, path: str, body: object = None) -> Any:
        return self._json("POST", path, body=body)

    def _json(self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body, params=params)
        except httpx.TransportError as fault:
            raise Away(f"{self._to.origin} does not answer ({type(fault).__name__}).") from None
        except (httpx.InvalidURL, UnicodeError):
            raise Trouble(f"{self._to.origin} is no address that can be asked.") from None
        return read(answer, self._to)


def read(answer: httpx.Response, to: Target) -> Any:
    """The JSON of a success. Raises as Api says."""
    if answer.status_code == 503:
        raise Away(_sentence(answer, to))
    if not answer.is_success:
        raise Refused(answer.status_code, _sentence(answer, to))
    try:
        return answer.json()
    except ValueError:
        raise Trouble(f"{to.origin} answered with what is no JSON: is it the order API?") from None


def _sentence(answer: httpx.Response, to: Target) -> str:
    """The problem in its own words, or the meaning of the status. A fault that the detail has already is left out."""
    if answer.status_code == 401:
        fault = "refuses this function key" if to.key else "asks for a function key"
        return f"This deployment {fault}: --key, or {KEY_VARIABLE}."
    try:
        problem = answer.json()
        detail, errors = str(problem["detail"]), problem.get("errors", [])
        wrong = [f"{each['pointer']}: {each['detail']}" for each in errors if each["detail"] not in detail]
        return " ".join([detail, *wrong])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{to.origin} answered {answer.request.method} {answer.request.url.path} with {answer.status_code}."
