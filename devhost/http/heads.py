"""The head of a request as text."""

from devhost.history.events import SURROGATE


def readable(text: str) -> str:
    """The text with a replacement character for each byte that was no UTF-8, so that it can be encoded again."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)
