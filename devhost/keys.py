"""Row keys and partition keys as the Azure Storage provider writes them."""

ESCAPES = {"^": "^^", "/": "^0", "\\": "^1", "#": "^2", "?": "^3"}
CONTROL_SHIFT = 0xC0


def escape_key(instance_id: str) -> str:
    """An instance id as a partition key: characters that keys may not hold are written as `^` and a stand-in."""
    return "".join(_escape(character) for character in instance_id)


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0x1F or 0x7F <= code <= 0x9F:
        return "^" + chr(CONTROL_SHIFT + code)
    return ESCAPES.get(character, character)


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


def row_key(ordinal: int) -> str:
    """The key of the n-th event of an execution: 16 digits of upper-case hex."""
    return f"{ordinal:016X}"
