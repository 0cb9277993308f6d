"""Chunks of archived bytes: laid in a geometry of their own, and left for others of their kind."""

from __future__ import annotations

from pathlib import Path

from coffre.stewards.archivist import OWNER, is_cold
from coffre.stewards.collector import Collecting
from coffre.vault.records import ChunkState, Geometry
from tests.unit.test_collector import INLINE, WANTED, Scene, scene_in

SIZE = 400_000
COLD = Geometry(8, 4)


def with_cold_chunks(scene: Scene, wanted: Geometry) -> None:
    """What is put from now on lies in cold chunks laid as `COLD`; the collector wants them laid as
    `wanted`."""
    scene.worker, scene.worker_store = scene.appending(f"{OWNER}1", COLD)
    _, cold = scene.appending(f"{OWNER}2", wanted)
    collector = scene.another_collector()
    collector._settings = Collecting(WANTED, INLINE, wanted_cold=wanted)
    collector._cold = cold
    scene.collector = collector


async def test_cold_chunks_keep_their_own_geometry(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        with_cold_chunks(scene, COLD)
        await scene.put(b"cold", SIZE)
        await scene.close_chunks()
        (before,) = scene.striped()
        await scene.collect()
        assert [one.id for one in scene.striped()] == [before.id]
        assert before.geometry == COLD
        await scene.check()


async def test_what_leaves_a_cold_chunk_goes_to_another(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        with_cold_chunks(scene, COLD)
        for key in (b"a", b"b", b"c"):
            await scene.put(key, SIZE)
        await scene.close_chunks()
        (before,) = scene.striped()
        await scene.delete(b"a", b"b")
        await scene.collect()
        left = [one for one in scene.striped() if one.state is not ChunkState.CONDEMNED]
        assert before.id not in [one.id for one in left]
        assert [(is_cold(one), one.geometry) for one in left if one.appended] == [(True, COLD)]
        await scene.check()


async def test_cold_chunks_are_laid_anew_where_they_are_wanted_otherwise(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        with_cold_chunks(scene, WANTED)
        await scene.put(b"cold", SIZE)
        await scene.close_chunks()
        await scene.collect()
        left = [one for one in scene.striped() if one.appended > one.dead]
        assert [(is_cold(one), one.geometry) for one in left] == [(True, WANTED)]
        await scene.check()
