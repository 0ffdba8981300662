"""The HTTP API of Durable Functions: start, status, list, raise an event, terminate, suspend, resume, rewind, restart,
purge; and of entities, see entity_api.py.

The same routes answer under the public webhook address and under the local RPC address that the SDK's client calls. The
table ROUTES is the whole surface; statuses, headers and bodies are those of the Durable extension.
"""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web

from devhost.execution.messages import Delivery
from devhost.function_registry import FunctionRegistry
from devhost.history.events import FINISHED, Row, compact_json
from devhost.history.statuses import history_body, status_body
from devhost.http.bodies import Bodies, ClientGone, is_gone
from devhost.http.client_binding import WEBHOOK, management_urls, url_query
from devhost.http.entity_api import EntityApi
from devhost.http.queries import (
    BODY,
    MAX_PAGE,
    Query,
    argument_fault,
    beginning_with,
    fault_body,
    flag,
    json_body,
    json_text,
    page,
    page_size,
    query_of,
    seconds,
    server_fault,
    since,
    statuses,
)
from devhost.http.responses import Refusal, empty, json_response
from devhost.orchestration.engine import Engine, WrongState
from devhost.storage.instances_table import InstanceExists
from devhost.storage.keys import is_no_key, unescape_key
from devhost.storage.task_hub import TaskHub

BAD_ID = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
MAX_ID = 256
MAX_WAIT_S, LEAST_PAUSE_S = 230.0, 0.1
"""How long Azure's load balancer lets an answer take, and how often the status is read at most."""
LOOK_AFTER_S = 1.0
"""How often a start that waits checks that its client is still connected."""
ANY = "*"

Handler = Callable[["OrchestrationApi", web.BaseRequest, Query, dict[str, str]], Awaitable[web.Response]]


class OrchestrationApi:
    def __init__(
        self,
        engine: Engine,
        entity_api: EntityApi,
        task_hub: TaskHub,
        functions: FunctionRegistry,
        bodies: Bodies,
        *,
        key: str,
        version: str,
    ) -> None:
        self._engine, self._task_hub, self._functions, self._bodies = engine, task_hub, functions, bodies
        self.entity_api = entity_api
        self._key, self._default_version = key, version

    async def handle(self, request: web.BaseRequest, path: str) -> web.Response:
        """Answer a request; `path` is what follows the base address."""
        query = query_of(request)
        for method, pattern, handler in ROUTES:
            match = pattern.fullmatch(path)
            if match and method in (request.method, ANY):
                values = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                request[BODY] = json_text(request, await self._bodies.read(request))
                return await handler(self, request, query, values)
        return empty(HTTPStatus.NOT_FOUND)

    async def start(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        name = values["name"]
        if self._functions.orchestrator(name) is None:
            raise argument_fault(self._functions.no_orchestrator(name))
        wait = waiting(query)
        instance_id = checked_id(values.get("id") or uuid.uuid4().hex)
        body = compact_json(json_body(request[BODY])) if request[BODY].strip() else None
        await self._start(name, instance_id, body, query.get("version", self._default_version))
        return await self._waited(request, query, instance_id, *wait) if wait else self._accepted(request, instance_id)

    async def _start(self, name: str, instance_id: str, body: str | None, version: str) -> None:
        try:
            await self._engine.start(name, instance_id, body, version)
        except InstanceExists as clash:
            raise server_fault(f"An Orchestration instance with the status {clash.status} already exists.") from clash

    async def _waited(
        self, request: web.BaseRequest, query: Query, instance_id: str, timeout: float, pause: float
    ) -> web.Response:
        """The status of an instance at its end, or the answer of a start once the time is over. Raises ClientGone."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        ended: Row | None = None
        while not is_gone(request):
            row = ended or await self._engine.status(instance_id)
            if row and row["RuntimeStatus"] == "Completed":
                return json_response(HTTPStatus.OK, status_body(instance_id, row, False)["output"])
            if row and row["RuntimeStatus"] in FINISHED:
                return await self.status(request, query, {"id": instance_id})
            left = deadline - loop.time()
            if left <= 0:
                return self._accepted(request, instance_id)
            ended = await self._engine.end_of(instance_id, min(pause, left, LOOK_AFTER_S))
        raise ClientGone

    def _accepted(self, request: web.BaseRequest, instance_id: str) -> web.Response:
        base = f"{request.scheme}://{request.host}{WEBHOOK}"
        body = management_urls(base, instance_id, url_query(self._task_hub.name, self._key))
        del body["rewindPostUri"]
        headers = {"Location": body["statusQueryGetUri"], "Retry-After": "10"}
        return json_response(HTTPStatus.ACCEPTED, body, headers)

    async def status(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        row = await self._engine.status(values["id"])
        if row is None:
            return empty(HTTPStatus.NOT_FOUND)
        body = status_body(values["id"], row, flag(query, "showinput", True))
        if flag(query, "showhistory", False) and row["RuntimeStatus"] != "Pending":
            events = (await self._engine.history(values["id"])).events
            shown = flag(query, "showinput", True), flag(query, "showhistoryoutput", False)
            body["historyEvents"] = history_body(events, *shown)
        if row["RuntimeStatus"] not in FINISHED:
            location = f"{request.scheme}://{request.host}{request.raw_path}"
            return json_response(HTTPStatus.ACCEPTED, body, {"Location": location, "Retry-After": "5"})
        failed = row["RuntimeStatus"] == "Failed" and flag(query, "returninternalservererroronfailure", False)
        return json_response(HTTPStatus.INTERNAL_SERVER_ERROR if failed else HTTPStatus.OK, body)

    async def list(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        top = page_size(query)
        await self._engine.write_rows()
        rows, following = await page(request, self._task_hub, condition(request, query), top)
        show_input = flag(query, "showinput", True)
        bodies = [
            status_body(unescape_key(row["PartitionKey"]), await self._task_hub.instances.with_texts(row), show_input)
            for row in rows
        ]
        return json_response(HTTPStatus.OK, bodies, following)

    async def raise_event(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        payload = compact_json(json_body(request[BODY]))
        return _delivered(await self._engine.raise_event(values["id"], values["event"], payload))

    async def terminate(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        return _delivered(await self._engine.terminate(values["id"], query.get("reason", "")))

    async def suspend(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        try:
            return _delivered(await self._engine.suspend(values["id"], query.get("reason", "")))
        except WrongState as state:
            raise server_fault(f"Cannot suspend the orchestration instance in the {state} state.") from state

    async def resume(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        try:
            return _delivered(await self._engine.resume(values["id"], query.get("reason", "")))
        except WrongState as state:
            raise server_fault(f"Cannot resume the orchestration instance in the {state} state.") from state

    async def rewind(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        try:
            return _delivered(await self._engine.rewind(values["id"], query.get("reason", "")))
        except WrongState as state:
            text = "The rewind operation is only supported on failed orchestration instances."
            raise server_fault(text) from state

    async def restart(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        """Start again with the same input, under a new id or the same."""
        row = await self._engine.status(values["id"])
        if row is None:
            text = "InstanceId does not match a valid orchestration instance."
            raise Refusal(HTTPStatus.BAD_REQUEST, fault_body(text, text, "System.ArgumentException"))
        wait, new_id = waiting(query), flag(query, "restartwithnewinstanceid", True)
        instance_id = uuid.uuid4().hex if new_id else values["id"]
        await self._start(row["Name"], instance_id, row.get("Input"), row.get("Version") or "")
        return await self._waited(request, query, instance_id, *wait) if wait else self._accepted(request, instance_id)

    async def purge(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        if await self._engine.status(values["id"]) is None:
            return empty(HTTPStatus.NOT_FOUND)
        await self._engine.purge(values["id"])
        return json_response(HTTPStatus.OK, {"instancesDeleted": 1})

    async def purge_many(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        if not query.get("createdtimefrom"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Please provide value for 'createdTimeFrom' parameter.")
        listed, token = await self._task_hub.instances.page(condition(request, query), MAX_PAGE, {})
        while token:
            rows, token = await self._task_hub.instances.page(condition(request, query), MAX_PAGE, token)
            listed += rows
        count = 0
        for instance_id in [unescape_key(row["PartitionKey"]) for row in listed if row["RuntimeStatus"] in FINISHED]:
            if not self._engine.is_active(instance_id):  # it may have been started again since
                await self._engine.purge(instance_id)
                count += 1
        return json_response(HTTPStatus.OK, {"instancesDeleted": count}) if count else empty(HTTPStatus.NOT_FOUND)

    async def make_primary(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        """A request that this host become the primary of the hub, which it always is."""
        return empty(HTTPStatus.OK)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text) + "/?", re.IGNORECASE)


DELIVERY_STATUSES = {
    Delivery.STORED: HTTPStatus.ACCEPTED,
    Delivery.TOO_LATE: HTTPStatus.GONE,
    Delivery.NO_INSTANCE: HTTPStatus.NOT_FOUND,
}
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    ("POST", _pattern("/orchestrators/{name}"), OrchestrationApi.start),
    ("POST", _pattern("/orchestrators/{name}/{id}"), OrchestrationApi.start),
    ("GET", _pattern("/entities"), lambda self, *call: self.entity_api.list(*call)),
    ("GET", _pattern("/entities/{name}"), lambda self, *call: self.entity_api.list(*call)),
    ("GET", _pattern("/entities/{name}/{key}"), lambda self, *call: self.entity_api.read(*call)),
    ("POST", _pattern("/entities/{name}/{key}"), lambda self, *call: self.entity_api.signal(*call)),
    ("DELETE", _pattern("/entities/{name}/{key}"), lambda self, *call: self.entity_api.delete(*call)),
    ("GET", _pattern("/instances"), OrchestrationApi.list),
    ("DELETE", _pattern("/instances"), OrchestrationApi.purge_many),
    ("GET", _pattern("/instances/{id}"), OrchestrationApi.status),
    ("DELETE", _pattern("/instances/{id}"), OrchestrationApi.purge),
    ("POST", _pattern("/instances/{id}/raiseEvent/{event}"), OrchestrationApi.raise_event),
    ("POST", _pattern("/instances/{id}/terminate"), OrchestrationApi.terminate),
    ("POST", _pattern("/instances/{id}/suspend"), OrchestrationApi.suspend),
    ("POST", _pattern("/instances/{id}/resume"), OrchestrationApi.resume),
    ("POST", _pattern("/instances/{id}/rewind"), OrchestrationApi.rewind),
    ("POST", _pattern("/instances/{id}/restart"), OrchestrationApi.restart),
    (ANY, _pattern("/makeprimary"), OrchestrationApi.make_primary),
]


def _delivered(delivery: Delivery) -> web.Response:
    return empty(DELIVERY_STATUSES[delivery])


def checked_id(instance_id: str) -> str:
    """The id, if a client may use it for a start. Raises Refusal (400)."""
    length = len(instance_id.encode("utf-16-le")) // 2  # as .NET counts characters
    if BAD_ID.search(instance_id) or instance_id.startswith("@") or length > MAX_ID or is_no_key(instance_id):
        raise argument_fault(
            "Instance IDs must not begin with '@', must not be longer than 256 characters, and must not contain '/', "
            "'\\', '#', '?', control characters or ends of lines."
        )
    return instance_id


def waiting(query: Query) -> tuple[float, float] | None:
    """Timeout and pause in seconds of a start that waits, or None."""
    if not (query.get("timeout") and query.get("pollinginterval")):
        return None
    timeout, pause = (seconds(query, name) for name in ("timeout", "pollingInterval"))
    if pause > timeout:
        raise argument_fault("Total timeout should be bigger than retry timeout.")
    return min(timeout, MAX_WAIT_S), max(pause, LEAST_PAUSE_S)


def condition(request: web.BaseRequest, query: Query) -> str:
    """The OData filter of a list or a purge."""
    prefix = query.get("instanceidprefix")
    named = [beginning_with(prefix)] if prefix else []
    return " and ".join([*since(query, "CreatedTime", "createdtime"), *statuses(request), *named])
