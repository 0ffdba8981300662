"""The read operations: single objects, and lists (https://docs.stripe.com/api/pagination), which do not lag."""

from collections.abc import Callable

from sandbox.ledger import JsonObject
from sandbox.payments.cards import described, method_named
from sandbox.payments.errors import StripeError, no_such
from sandbox.payments.intents import existing
from sandbox.payments.request import Call, Params
from sandbox.payments.state import Books, Draft, now

ONE_PARAMS = frozenset({"expand"})
INTENT_PARAMS = ONE_PARAMS | {"client_secret"}
_PAGE_PARAMS = ONE_PARAMS | {"created", "ending_before", "limit", "starting_after"}
INTENTS_PARAMS = _PAGE_PARAMS | {"customer"}
REFUNDS_PARAMS = _PAGE_PARAMS | {"charge", "payment_intent"}

BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
Matches = Callable[[JsonObject], bool]


def payment_method(_draft: Draft, call: Call) -> JsonObject:
    return described(method_named(call.target or "", "payment_method", status=404), now())


def intent(draft: Draft, call: Call) -> JsonObject:
    return existing(draft, call.target)


def refund(draft: Draft, call: Call) -> JsonObject:
    refund_object = draft.get("refund", call.target)
    if refund_object is None:
        raise no_such("refund", call.target or "", "id")
    return refund_object


def intents(draft: Draft, call: Call) -> JsonObject:
    return _listed(draft.books, "payment_intent", call, ("customer",))


def refunds(draft: Draft, call: Call) -> JsonObject:
    return _listed(draft.books, "refund", call, ("charge", "payment_intent"))


def _listed(books: Books, kind: str, call: Call, filters: tuple[str, ...]) -> JsonObject:
    wanted = {name: value for name in filters if (value := call.params.text(name))}
    created = _created(call.params)
    items = [
        item
        for item in books.newest_first(kind)
        if created(item) and all(item[name] == value for name, value in wanted.items())
    ]
    limit = page_size(call.params)
    items, newest = _from_cursor(items, call.params, kind, limit)
    return {"object": "list", "url": call.path, "data": items[:limit], "has_more": len(items) > limit or newest}


def _from_cursor(items: list[JsonObject], params: Params, kind: str, limit: int) -> tuple[list[JsonObject], bool]:
    """The objects after `starting_after`, or the page before `ending_before` and whether newer ones exist."""
    if after := params.text("starting_after"):
        return items[_position(items, after, kind, "starting_after") + 1 :], False
    if before := params.text("ending_before"):
        newer = items[: _position(items, before, kind, "ending_before")]
        return newer[-limit:], len(newer) > limit
    return items, False


def _position(items: list[JsonObject], id_: str, kind: str, param: str) -> int:
    ids = [item["id"] for item in items]
    if id_ not in ids:
        raise no_such(kind, id_, param, status=400)
    return ids.index(id_)


def page_size(params: Params) -> int:
    """From 1 to 100 objects; 10 by default."""
    limit = params.integer("limit")
    if limit is not None and not 1 <= limit <= 100:
        raise StripeError(400, "Limit must be from 1 to 100.", code="parameter_invalid_integer", param="limit")
    return limit or 10


def _created(params: Params) -> Matches:
    """`created=123` selects that second, `created[gte]=123` and the like a range."""
    if not isinstance(params.raw.get("created"), dict):
        second = params.integer("created")
        return lambda item: second is None or item["created"] == second
    bounds = Params(params.hash("created"))
    bounds.refuse_unknown(frozenset(BOUNDS))
    wanted = [(BOUNDS[name], bounds.integer(name) or 0) for name in bounds.raw]
    return lambda item: all(holds(item["created"], bound) for holds, bound in wanted)


EXPANDABLE = {"latest_charge": "charge", "charge": "charge", "payment_intent": "payment_intent"}


def expanded(draft: Draft, item: JsonObject, names: list[str]) -> JsonObject:
    """The object with the ids under these names replaced by the objects. Raises StripeError (400) for other names."""
    for name in names:
        if name not in EXPANDABLE or name not in item:
            raise StripeError(400, f"This property cannot be expanded ({name}).", param="expand")
    return item | {name: draft.get(EXPANDABLE[name], item[name]) for name in names}
