"""Partition and row keys: each id has a key of its own, without a character that tables forbid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.storage.keys import escape_key, row_key, unescape_key

# https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model, "Characters
# disallowed in key fields": four of them, and the control characters of both blocks.
STAND_INS = {"/": "0", "\\": "1", "#": "2", "?": "3"}  # of the provider's KeySanitation.cs, as is the shift by 0xC0
FORBIDDEN_IN_KEYS = {*"/\\#?", *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))}


@given(st.text(max_size=40).filter(str.isprintable) | st.text(alphabet="^/\\#?\x00\x1f\x7f\x9fa'ż", max_size=20))
def test_a_key_holds_no_forbidden_character_and_gives_its_id_back(instance_id: str) -> None:
    key = escape_key(instance_id)
    assert set(key) & FORBIDDEN_IN_KEYS == set()
    assert unescape_key(key) == instance_id


@pytest.mark.parametrize("character", sorted(FORBIDDEN_IN_KEYS), ids=lambda character: f"U+{ord(character):04X}")
def test_each_forbidden_character_is_written_as_two_that_are_allowed(character: str) -> None:
    key = escape_key(f"a{character}b")
    assert key == f"a^{STAND_INS.get(character) or chr(0xC0 + ord(character))}b"
    assert key[2] not in FORBIDDEN_IN_KEYS
    assert unescape_key(key) == f"a{character}b"


def test_no_two_ids_share_a_key() -> None:
    written = [escape_key(character) for character in [*FORBIDDEN_IN_KEYS, "^", "^0", "^^", "a"]]
    assert len(set(written)) == len(written)


def test_row_keys_are_sixteen_hex_digits() -> None:
    assert (row_key(0), row_key(26)) == ("0000000000000000", "000000000000001A")
