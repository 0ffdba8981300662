"""The descriptions of the dashboard's routes: a part of the table in operations.py."""

from __future__ import annotations

from collections.abc import Mapping

from api.document import answers
from api.document.described import Operation, Parameter, Reply
from api.document.examples import EXAMPLE_SKU, HOLDERS, OVERVIEW, TIMELINE
from api.tracking import TrackingToken

TAG, TRACKING = "Dashboard", "Tracking"
STATIC, POLLED = ("Cache-Control",), ("ETag", "Cache-Control")
KNOWN = Parameter(
    "If-None-Match",
    "header",
    "The ETag of the last response. The answer is 304 if nothing has changed.",
    {"type": "string", "pattern": '^"[0-9a-f]{1,64}"$'},
)
UNCHANGED = Reply("Nothing has changed.", headers=POLLED)

DASHBOARD_OPERATIONS: Mapping[str, Operation] = {
    "track_order": Operation(
        TRACKING,
        "The customer's page of an order",
        {
            200: Reply("How far the order is, in business terms.", "text/html", headers=STATIC),
            404: Reply("A page that says that this link is not valid.", "text/html", headers=STATIC),
            410: Reply("A page that says that this link has expired.", "text/html", headers=STATIC),
        },
        (503,),
        parameters=(Parameter("token", "query", "The token of the tracking link.", {"type": "string"}),),
        says="The link is `trackingUrl` of the 202, and in the mails. Its token opens this order alone.",
    ),
    "cancel_tracked_order": Operation(
        TRACKING,
        "Cancel an order as its customer",
        {
            303: Reply("The cancel is promised. The page says so.", headers=("Location", *STATIC)),
            404: Reply("A page that says that this link is not valid.", "text/html", headers=STATIC),
            409: Reply("The order's page, which says that it is too late.", "text/html", headers=STATIC),
            410: Reply("A page that says that this link has expired.", "text/html", headers=STATIC),
        },
        (413, 503),
        TrackingToken,
        {"token": "1798450200.Qm9…"},
        body_required=False,
        says="The page sends the same field as a form.",
    ),
    "dashboard": Operation(
        TAG,
        "The operators' page",
        {200: Reply("HTML without data. The page asks for its data with a function key.", "text/html", headers=STATIC)},
    ),
    "dashboard_asset": Operation(
        TAG, "A file of the operators' page", {200: Reply("A script or a style sheet.", "*/*", headers=STATIC)}, (404,)
    ),
    "get_overview": Operation(
        TAG,
        "Show the orders that need a person, the unfinished and the newest",
        {
            200: Reply("Parked orders and approvals come oldest first.", answers.Overview, OVERVIEW, POLLED),
            304: UNCHANGED,
        },
        (400, 503),
        parameters=(KNOWN,),
        says="Costs two reads of storage, however many orders there are: the unfinished, and those ended today (UTC).",
    ),
    "get_counts": Operation(
        TAG,
        "Count the ended orders of the day by state",
        {
            200: Reply(
                "The last count of the sweep; null before its first run.",
                answers.Counts,
                {
                    "ended": {
                        "day": "2026-11-26",
                        "states": {"completed": 41, "compensated": 2},
                        "more": False,
                        "at": "2026-11-26T09:31:00Z",
                    }
                },
            )
        },
        (400, 503),
    ),
    "get_timeline": Operation(
        TAG,
        "Show an order's timeline",
        {
            200: Reply("Its attempts, its waits, and its audit trail.", answers.Timeline, TIMELINE, POLLED),
            304: UNCHANGED,
        },
        (400, 404, 503),
        parameters=(KNOWN,),
        says="Attempts come from the orchestration's history while it exists; `history` is `gone` after that, and the "
        "audit trail is what is left. It holds no personal data.",
    ),
    "get_holders": Operation(
        TAG,
        "Show which orders hold units of a SKU",
        {200: Reply("At most 20, of the newest 1,000 unfinished orders.", answers.Holders, HOLDERS)},
        (400, 404, 503),
        says=f"Reads the index once, and the reservation of each order that names the SKU, such as {EXAMPLE_SKU}.",
    ),
}
