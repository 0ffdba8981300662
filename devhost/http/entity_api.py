"""The HTTP API of entities: read a state, signal an operation, delete, list."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from devhost.entities.dispatcher import EntityDispatcher
from devhost.entities.scheduler import EMPTY_KEY, MAX_ENTITY_KEY, EntityId, Scheduler
from devhost.function_registry import FunctionRegistry
from devhost.history.events import Row, compact_json, iso_time
from devhost.history.statuses import parsed
from devhost.http.queries import BODY, Query, argument_fault, beginning_with, flag, json_body, page, page_size, since
from devhost.http.responses import Refusal, empty, json_response
from devhost.storage.keys import is_no_key, unescape_key
from devhost.storage.task_hub import TaskHub


class EntityApi:
    def __init__(self, entities: EntityDispatcher, task_hub: TaskHub, functions: FunctionRegistry) -> None:
        self._entities, self._task_hub, self._functions = entities, task_hub, functions

    async def read(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        scheduler = await self._entities.read(_entity(values))
        if scheduler is None or not scheduler.exists:
            return empty(HTTPStatus.NOT_FOUND)
        return json_response(HTTPStatus.OK, _state(scheduler))

    async def signal(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        """202 once the signal is durable."""
        return await self._signal(request, query.get("op", ""), values)

    async def delete(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        """Signal the operation `delete`. The entity's code decides what that does, as in Azure."""
        return await self._signal(request, "delete", values)

    async def _signal(self, request: web.BaseRequest, operation: str, values: dict[str, str]) -> web.Response:
        if self._functions.entity(values["name"]) is None:
            raise argument_fault(self._functions.no_entity(values["name"]))
        if len(values["key"]) > MAX_ENTITY_KEY or is_no_key(str(_entity(values))):
            raise argument_fault(
                f"The key of an entity must not be longer than {MAX_ENTITY_KEY} characters, nor hold the end of a line."
            )
        await self._entities.signal(_entity(values), operation, _operation_input(request[BODY]))
        return empty(HTTPStatus.ACCEPTED)

    async def list(self, request: web.BaseRequest, query: Query, values: dict[str, str]) -> web.Response:
        """The entities that exist, a page at a time. A page may hold fewer entities than requested, or none."""
        top = page_size(query)
        await self._entities.write_rows()
        rows, following = await page(request, self._task_hub, _condition(query, values.get("name")), top)
        pairs = [
            (row, Scheduler.from_text((await self._task_hub.instances.with_texts(row)).get("Input"))) for row in rows
        ]
        with_state = flag(query, "fetchstate", False)
        bodies = [_body(row, scheduler, with_state) for row, scheduler in pairs if scheduler.exists]
        return json_response(HTTPStatus.OK, bodies, following)


def _entity(values: dict[str, str]) -> EntityId:
    return EntityId(values["name"].lower(), "" if values["key"] == EMPTY_KEY else values["key"])


def _operation_input(text: str) -> str | None:
    """The body as the JSON text that becomes the operation's input, None without one. Raises Refusal (400)."""
    if not text:
        return None
    try:
        return compact_json(json_body(text))
    except Refusal as refusal:
        message = f"Could not parse JSON content: {refusal.body['ExceptionMessage']}"
        raise Refusal(HTTPStatus.BAD_REQUEST, {"Message": message}) from refusal


def _condition(query: Query, name: str | None) -> str:
    """The OData filter of a list."""
    prefix = f"@{name.lower()}@" if name else "@"
    return " and ".join([beginning_with(prefix), *since(query, "LastUpdatedTime", "lastoperationtime")])


def _body(row: Row, scheduler: Scheduler, with_state: bool) -> dict[str, Any]:
    entity = EntityId.parse(unescape_key(row["PartitionKey"]))
    body: dict[str, Any] = {
        "entityId": {"name": entity.name, "key": entity.key},
        "lastOperationTime": iso_time(row["LastUpdatedTime"]),
    }
    return {**body, "state": _state(scheduler)} if with_state else body


def _state(scheduler: Scheduler) -> Any:
    return parsed(scheduler.state)
