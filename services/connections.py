"""Connections to storage and to Stripe: how requests are sent, and how many connections a process keeps.

`requests` keeps 10 connections to a host and closes each further one after its use, with a warning. The SDK of
Stripe keeps one for each thread that ever called it, so they grow with the threads of the host and not with the work:
from 6 to 15 in 3,000 orders. One pool that threads share holds as many as were ever needed at once.

Both SDKs pass complete requests: signed, with an encoded address and their headers. `requests` would
prepare each of them once more (cookies, `.netrc`, the address, every header), which takes twice the CPU of sending it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util import Retry

HOSTS = 10
# More threads than a host runs by default: 32 at most for functions, and as many for `asyncio.to_thread`.
AT_ONCE = 80


class CompleteRequests(requests.Session):
    """Sends requests unchanged. Follows no redirect, which could lead to http. Creating it opens no connection.

    It uses no cookies and no `.netrc`, whose password would take the place of a signature. Proxies and a bundle of
    certificates are those of the environment when a host is first called. Safe to share between threads.
    """

    def __init__(self, retries: Retry | int = 0) -> None:
        super().__init__()
        for prefix in list(self.adapters):
            self.mount(prefix, HTTPAdapter(HOSTS, AT_ONCE, max_retries=retries))
        self._of_environment = functools.cache(self._read_environment)

    def request(  # type: ignore[override]  # only what the two SDKs give
        self, method: str, url: str, *, headers: Mapping[str, str], data: Any = None, **options: Any
    ) -> requests.Response:
        request = requests.PreparedRequest()
        request.method, request.url = method.upper(), url
        request.headers = CaseInsensitiveDict({**self.headers, **headers})
        request.prepare_body(data, options.get("files"))
        proxies, bundle = self._of_environment(*urlsplit(url)[:2])
        verify = bundle if options.get("verify") is True and bundle else options.get("verify", True)
        response = self.get_adapter(url).send(
            request,
            options.get("stream") or False,
            options["timeout"],
            verify,
            options.get("cert"),
            options.get("proxies") or proxies,
        )
        if not options.get("stream"):
            response.content  # noqa: B018  # reads it, so that the connection is free again
        return response

    def _read_environment(self, scheme: str, host: str) -> tuple[Any, Any]:
        settings = self.merge_environment_settings(f"{scheme}://{host}", {}, None, None, None)
        return settings["proxies"], settings["verify"]


def azure_transport(connect_s: float, read_s: float) -> RequestsTransport:
    """The transport of an Azure SDK client. The client retries by its own policy."""
    session = CompleteRequests(Retry(total=False, redirect=False, raise_on_status=False))
    return RequestsTransport(session=session, connection_timeout=connect_s, read_timeout=read_s)
