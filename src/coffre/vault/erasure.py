"""Reed-Solomon coding over segments, by ISA-L: any k of k+m units give back all.

The code is the one that liberasurecode calls `isa_l_rs_cauchy` (a Cauchy matrix over GF(256)), by
the ISA-L library that the pyeclib package carries. It is called directly, not through pyeclib:
that copies every unit twice, puts an 80-byte header before each, and holds the GIL meanwhile. Here
nothing is copied and other threads run. Coding is byte by byte: the same range of k units decodes
that range of the others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cffi  # type: ignore[import-untyped]

from coffre.system.buffer import Buffer

_ffi: Any = cffi.FFI()
_ffi.cdef(
    """
    void gf_gen_cauchy1_matrix(unsigned char *matrix, int rows, int k);
    int gf_invert_matrix(unsigned char *matrix, unsigned char *inverse, int n);
    unsigned char gf_mul(unsigned char a, unsigned char b);
    void ec_init_tables(int k, int rows, unsigned char *matrix, unsigned char *tables);
    void ec_encode_data(int length, int k, int rows, unsigned char *tables,
                        unsigned char **data, unsigned char **coding);
    """
)


def _load() -> Any:
    """ISA-L: the copy inside pyeclib's wheel, else the system's. Raises OSError with neither."""
    names = ["libisal.so.2"]
    spec = importlib.util.find_spec("pyeclib")
    if spec is not None and spec.origin is not None:
        carried = Path(spec.origin).parent.parent / "pyeclib.libs"
        names = [str(path) for path in carried.glob("libisal*.so*")] + names
    return _ffi.dlopen(names[0])


_isal = _load()


@lru_cache(maxsize=64)
def _generator(k: int, m: int) -> bytes:
    """The (k+m) x k matrix: identity above, Cauchy below."""
    matrix = _ffi.new("unsigned char[]", (k + m) * k)
    _isal.gf_gen_cauchy1_matrix(matrix, k + m, k)
    return bytes(_ffi.buffer(matrix))


def _tables(k: int, rows: int, matrix: bytes) -> Any:
    tables = _ffi.new("unsigned char[]", 32 * k * rows)
    _isal.ec_init_tables(k, rows, _ffi.from_buffer("unsigned char[]", matrix), tables)
    return tables


@lru_cache(maxsize=64)
def _encode_tables(k: int, m: int) -> Any:
    return _tables(k, m, _generator(k, m)[k * k :])


@lru_cache(maxsize=1024)
def _decode_tables(k: int, m: int, sources: tuple[int, ...], missing: tuple[int, ...]) -> Any:
    generator = _generator(k, m)
    matrix = b"".join(generator[index * k : index * k + k] for index in sources)
    inverse = _ffi.new("unsigned char[]", k * k)
    # Every k rows of a Cauchy generator are independent.
    singular = _isal.gf_invert_matrix(
        _ffi.from_buffer("unsigned char[]", bytearray(matrix)), inverse, k
    )
    assert not singular, "a Cauchy generator has no singular choice of rows"
    rows = bytearray()
    for index in missing:
        row = generator[index * k : index * k + k]
        for column in range(k):
            value = 0
            for at in range(k):
                value ^= _isal.gf_mul(row[at], inverse[at * k + column])
            rows.append(value)
    return _tables(k, len(missing), bytes(rows))


def _code(k: int, rows: int, tables: Any, units: Sequence[Buffer]) -> list[bytearray]:
    length = len(units[0])
    if any(len(unit) != length for unit in units):
        raise ValueError("units of one row have one length")
    out = [bytearray(length) for _ in range(rows)]
    # The buffers must outlive the call: cffi keeps them only as long as these names live.
    held = [_ffi.from_buffer("unsigned char[]", unit) for unit in units]
    made = [_ffi.from_buffer("unsigned char[]", unit) for unit in out]
    data = _ffi.new("unsigned char *[]", held)
    coding = _ffi.new("unsigned char *[]", made)
    _isal.ec_encode_data(length, k, rows, tables, data, coding)
    for pointer in (*held, *made):
        _ffi.release(pointer)
    return out


def encode(k: int, m: int, units: Sequence[Buffer]) -> list[bytearray]:
    """The m coding units of k data units of one length. Raises ValueError."""
    if len(units) != k:
        raise ValueError(f"{k} data units are coded, not {len(units)}")
    return _code(k, m, _encode_tables(k, m), units) if m else []


def decode(
    k: int, m: int, available: Mapping[int, Buffer], missing: Sequence[int]
) -> list[bytearray]:
    """The units `missing` (data and coding alike, by index) from any k of `available`.

    Raises ValueError with fewer than k.
    """
    if len(available) < k:
        raise ValueError(f"{len(available)} units cannot make up for the rest: {k} are needed")
    sources = tuple(sorted(available))[:k]
    tables = _decode_tables(k, m, sources, tuple(missing))
    return _code(k, len(missing), tables, [available[index] for index in sources])
