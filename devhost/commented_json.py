"""JSON as Azure's host and the Core Tools read it in host.json and local.settings.json: with comments and last commas.

The one reader of these files, for devhost and for dev.py. So it needs the standard library alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
# A comma that follows no value is a fault of its own, and stays.
COMMA = re.compile(STRING + r"|[\[{,:]\s*,|,(?=\s*[\]}])", re.DOTALL)


def loads(text: str) -> Any:
    """The value of a text. Raises ValueError and RecursionError as json.loads does, with the lines of this text."""
    plain = COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else re.sub(r"\S", " ", found[0]), text)
    return json.loads(COMMA.sub(lambda found: " " if found[0] == "," else found[0], plain))
