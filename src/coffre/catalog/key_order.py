"""Keys and the order in which a bucket keeps them.

A `sort_key` is a key as bytes whose plain byte order is the bucket's order: the UTF-8 itself, or
UTF-16BE (the `ecs` dialect). Encoding is bijective, and one key starts with another exactly when
its sort key starts with the other's, so that a range of sort keys is the set of keys with a prefix.
"""

from __future__ import annotations

from coffre.catalog.records import KeyOrder


def encode_key(order: KeyOrder, key: bytes) -> bytes:
    """The sort key of `key`. UnicodeDecodeError where UTF-16BE cannot hold what is not UTF-8."""
    return key if order == "utf-8" else key.decode("utf-8").encode("utf-16-be")


def decode_key(order: KeyOrder, sort_key: bytes) -> bytes:
    """The key whose sort key this is."""
    return sort_key if order == "utf-8" else sort_key.decode("utf-16-be").encode("utf-8")


def next_key(sort_key: bytes) -> bytes:
    """The least byte string greater than `sort_key`."""
    return sort_key + b"\0"


def past_prefix(prefix: bytes) -> bytes | None:
    """The least byte string greater than all that start with `prefix`; None: there is none.

    A step in bytes, not characters: U+10FFFF and U+FFFF have no successor, bytes below 0xFF do.
    """
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None
