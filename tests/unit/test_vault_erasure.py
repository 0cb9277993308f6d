"""Erasure coding: any k of k+m units give back the others, in every geometry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.system.entropy import SeededEntropy
from coffre.vault.erasure import decode, encode
from coffre.vault.records import GEOMETRIES, Geometry

CODED = [geometry for geometry in (*GEOMETRIES, Geometry(1, 2), Geometry(1, 1)) if geometry.m]


def row(geometry: Geometry, unit: int, seed: int = 1) -> list[bytes]:
    entropy = SeededEntropy(seed)
    data = [entropy.bytes(unit) for _ in range(geometry.k)]
    return data + [bytes(u) for u in encode(geometry.k, geometry.m, data)]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_k_units_give_back_all_others(data: st.DataObject) -> None:
    geometry = data.draw(st.sampled_from(CODED))
    unit = data.draw(st.sampled_from([1, 63, 64, 1000, 16384]))
    units = row(geometry, unit)
    count = data.draw(st.integers(1, geometry.m))
    lost = data.draw(st.permutations(range(geometry.width)))[:count]
    left = {i: memoryview(u) for i, u in enumerate(units) if i not in lost}
    assert decode(geometry.k, geometry.m, left, lost) == [units[i] for i in lost]


@pytest.mark.parametrize("geometry", CODED, ids=str)
def test_the_code_is_liberasurecodes_isa_l_rs_cauchy(geometry: Geometry) -> None:
    from pyeclib.ec_iface import ECDriver

    driver = ECDriver(k=geometry.k, m=geometry.m, ec_type="isa_l_rs_cauchy")
    units = row(geometry, 16384)
    fragments = driver.encode(b"".join(units[: geometry.k]))
    assert [fragment[80 : 80 + 16384] for fragment in fragments] == units


def test_a_range_of_the_units_decodes_that_range() -> None:
    units = row(Geometry(8, 4), 16384)
    left = {i: unit[100:300] for i, unit in enumerate(units) if i not in (0, 3, 9, 11)}
    assert decode(8, 4, left, [3]) == [units[3][100:300]]


def test_one_segment_alone_needs_no_coding() -> None:
    assert encode(1, 0, [b"data"]) == []


def test_fewer_than_k_units_are_refused() -> None:
    units = row(Geometry(2, 1), 64)
    with pytest.raises(ValueError, match="2 are needed"):
        decode(2, 1, {0: units[0]}, [1])
    with pytest.raises(ValueError, match="data units"):
        encode(2, 1, units)
    with pytest.raises(ValueError, match="one length"):
        encode(2, 1, [b"a", b"bc"])
