"""How many connections a process keeps to a provider.

`requests` keeps 10 to a host: what more threads open is closed after each use, with a warning. The SDK of Stripe keeps
one for each thread that ever called it, so they grow with the threads of the host and not with the work: from 6 to 15
in 3,000 orders. One pool that threads share holds as many as were ever needed at once.
"""

from __future__ import annotations

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter

HOSTS = 10
# More threads than a host runs unless it is told to: 32 at most for functions, and as many for `asyncio.to_thread`.
AT_ONCE = 80


def shared_session() -> requests.Session:
    """A session for all threads, which follows nobody elsewhere: it could be led to http. Opens no connection."""
    session = requests.Session()
    session.max_redirects = 0
    for prefix in list(session.adapters):
        session.mount(prefix, HTTPAdapter(pool_connections=HOSTS, pool_maxsize=AT_ONCE))
    return session


def azure_transport(connect_s: float, read_s: float) -> RequestsTransport:
    """What a client of Azure's SDK sends its requests by, with the retries that it sets up itself."""
    transport = RequestsTransport(connection_timeout=connect_s, read_timeout=read_s)
    transport.open()
    assert transport.session is not None
    for adapter in transport.session.adapters.values():
        assert isinstance(adapter, HTTPAdapter)
        adapter.init_poolmanager(HOSTS, AT_ONCE)
    return transport
