"""Who acts: the name that App Service authentication vouches for, if it is on.

The platform removes `X-MS-CLIENT-PRINCIPAL-NAME` from what comes in and sets its own. Without it anybody could send the
header, so it counts only while the platform says (`WEBSITE_AUTH_ENABLED`) that it does so.
"""

from __future__ import annotations

import os

import azure.functions as func

HEADER, SWITCH = "X-MS-CLIENT-PRINCIPAL-NAME", "WEBSITE_AUTH_ENABLED"
LONGEST = 200


def actor(req: func.HttpRequest) -> str | None:
    """The name that was signed in with; None where nobody signs in."""
    if os.environ.get(SWITCH, "").lower() != "true":
        return None
    return req.headers.get(HEADER, "").strip()[:LONGEST] or None
