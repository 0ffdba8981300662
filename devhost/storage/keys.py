"""Row keys and partition keys as the Azure Storage provider writes them."""

import re

ESCAPES = {"^": "^^", "/": "^0", "\\": "^1", "#": "^2", "?": "^3"}
CONTROL_SHIFT = 0xC0
MAX_KEY_BYTES = 1024
LINE_ENDS = frozenset("\u2028\u2029")
ESCAPED = re.compile(r"[\x00-\x1f\x7f-\x9f^/\\#?]")


def escape_key(instance_id: str) -> str:
    """An instance id as a partition key: characters that keys may not hold are written as `^` and a stand-in."""
    return ESCAPED.sub(_escape, instance_id)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return ESCAPES.get(character) or "^" + chr(CONTROL_SHIFT + ord(character))


def unescape_key(key: str) -> str:
    """The instance id of a partition key."""
    plain, characters = [], iter(key)
    back = {escape[1]: character for character, escape in ESCAPES.items()}
    for character in characters:
        if character == "^":
            mark = next(characters, "")
            plain.append(back.get(mark) or chr(ord(mark) - CONTROL_SHIFT))
        else:
            plain.append(character)
    return "".join(plain)


def is_no_key(instance_id: str) -> bool:
    """Whether an id cannot be a key of a table: a key has at most 1 KiB of UTF-16, and Azurite fails on U+2028 and
    U+2029 in a batch.
    """
    key = escape_key(instance_id)
    return len(key.encode("utf-16-le", "surrogatepass")) > MAX_KEY_BYTES or not LINE_ENDS.isdisjoint(key)


def row_key(ordinal: int) -> str:
    """The key of the n-th event of an execution: 16 digits of upper-case hex."""
    return f"{ordinal:016X}"
