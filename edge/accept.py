"""Content negotiation between a page and JSON (RFC 9110, 12.5.1)."""

from __future__ import annotations

JSON, HTML = ("application", "json"), ("text", "html")


def prefers_json(accept: str) -> bool:
    """Whether JSON is wanted more than HTML; equal wishes, as `*/*`, are for the page."""
    ranges = [_range(part) for part in accept.split(",")]
    return _quality(ranges, JSON) > _quality(ranges, HTML)


def _range(part: str) -> tuple[str, str, float]:
    """(type, subtype, quality). What cannot be read has the quality 0."""
    media, *parameters = (text.strip().lower() for text in part.split(";"))
    kind, _, subtype = media.partition("/")
    quality = 1.0
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip() == "q":
            quality = _number(value.strip())
    return kind, subtype, quality


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(ranges: list[tuple[str, str, float]], media: tuple[str, str]) -> float:
    """Of the most precise range that includes the media type; 0 without one."""
    found = (0, 0.0)
    for kind, subtype, quality in ranges:
        if kind in {media[0], "*"} and subtype in {media[1], "*"}:
            found = max(found, (2 * (kind != "*") + (subtype != "*") + 1, quality))
    return found[1]
