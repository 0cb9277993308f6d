"""The drives of a node that ran, read by the tables of docs/storage-format.md and nothing else.

The tables are parsed out of the page; keys are derived, checksums made and ciphertext opened here
as the page says. What is found is then compared with what Coffre's own decoders say, field by
field, and the log is followed from its first record to the end that superblocks name.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from xxhash import xxh3_64_digest, xxh3_64_intdigest, xxh3_128_digest

from coffre.catalog.log import decode as decode_record
from coffre.catalog.schema import open_reader
from coffre.system.disk import LocalDisk
from coffre.system.entropy import SeededEntropy
from coffre.vault.headers import decode_header
from coffre.vault.keys import RootKeyFile
from coffre.vault.landing import decode_group_header
from coffre.vault.superblock import SuperblockStore

from .client import Client
from .ledger import BUCKET
from .node import Node

PAGE = (Path(__file__).parents[2] / "docs" / "storage-format.md").read_text()
BLOCK, MIB = 16384, 1 << 20
_SPACED = re.compile(r"^ {4,}(\S+) +(\S+)  (\S.*)$", re.M)
_BARRED = re.compile(r"^\| (\S+) +\| (\S+) +\| (.+?) +\|$", re.M)


class Table:
    """A byte table of one section: offset, length, what."""

    def __init__(self, section: str) -> None:
        text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
        self.rows = (_SPACED.findall(text) or _BARRED.findall(text))[1:]
        assert len(self.rows) > 5, section

    def field(self, data: bytes, what: str) -> bytes:
        """The bytes of the one row of fixed place that begins so."""
        ((offset, length),) = {
            (offset, length)
            for offset, length, words in self.rows
            if words.startswith(what) and offset.isdigit() and length.isdigit()
        }
        return data[int(offset) : int(offset) + int(length)]

    def number(self, data: bytes, what: str) -> int:
        return int.from_bytes(self.field(data, what), "big")

    def magic(self) -> bytes:
        found = [re.search(r'magic ["`](\w+)["`]', words) for _, _, words in self.rows]
        (magic,) = (match[1] for match in found if match)
        return magic.encode()

    def version(self) -> int:
        found = [re.search(r"version(?: \(|, )(\d+)", words) for _, _, words in self.rows]
        (version,) = (match[1] for match in found if match)
        return int(version)

    def variable(self, data: bytes, what: str, size: int) -> bytes:
        """A row whose length is given by another: `size` bytes from its place."""
        ((offset, _),) = {(o, n) for o, n, words in self.rows if words.startswith(what)}
        return data[int(offset) : int(offset) + size]


SUPERBLOCK = Table("Superblock")
HEADER = Table("Chunk header")
GROUP = Table("Landing chunk and group")
RECORD = Table("Record of the log")
SNAPSHOT = Table("Snapshot")


class Roots:
    """root.key, read as the page says."""

    def __init__(self, path: Path) -> None:
        word, *keys, digest = path.read_bytes().splitlines(keepends=True)
        assert word == b"coffre-root-key-2\n"
        assert digest.strip().decode() == hashlib.sha256(word + b"".join(keys)).hexdigest()
        self._secrets = {}
        for line in keys:
            secret, key_id = (bytes.fromhex(part.decode()) for part in line.split())
            assert _hkdf(secret, b"coffre key id", 8) == key_id
            self._secrets[key_id] = secret

    def derive(self, key_id: bytes, purpose: str, context: bytes = b"") -> AESGCM:
        info = b"coffre " + purpose.encode() + b"\0" + context
        return AESGCM(_hkdf(self._secrets[key_id], info, 32))


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


@pytest.fixture(scope="module")
def data(template: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a node that wrote, sealed, rotated its root key, took a snapshot and wrote on."""
    path = tmp_path_factory.mktemp("format") / "data"
    shutil.copytree(template[0], path, ignore=shutil.ignore_patterns("*.sock"))
    node = Node(path, template[1]).start()
    client = Client(node)
    for number, size in enumerate((0, 10, 5000, 900_000, 3_000_000)):
        assert client.put(BUCKET, f"before {number}", b"b" * size).status == 200
    node.command("seal", "--now")
    node.command("key", "rotate")
    assert client.put(BUCKET, "between", b"c" * 100).status == 200
    node.ask("snapshot.now")
    for number in range(3):
        assert client.put(BUCKET, f"after {number}", b"d" * 1000).status == 200
    assert node.stop() == 0, node.tail()
    yield path
    node.kill()


def test_superblocks(data: Path) -> None:
    roots = Roots(data / "root.key")
    own = SuperblockStore(LocalDisk(), RootKeyFile(str(data / "root.key")), SeededEntropy(1))
    for drive in sorted((data / "drives").iterdir()):
        body, epoch, generation = newest_superblock(drive, roots)
        ours = own.read(str(drive)).superblock
        assert ours is not None
        assert (ours.epoch, ours.generation) == (epoch, generation)
        assert body[:4] == [ours.region, ours.zone, ours.zone_number, ours.drive]
        assert body[4] == [[one.id, one.node, one.rack] for one in ours.drives]
        assert body[5:8] == [[ours.geometry.k, ours.geometry.m], ours.landing_copies, ours.clean]
        assert [one[0] for one in body[8]] == [ref.chunk for ref in ours.log.unsealed]
        assert body[10:12] == [ours.log.tail_sequence, ours.log.tail_hash]
        assert [one[0] for one in body[13]] == [ref.id for ref in ours.snapshots]


def newest_superblock(drive: Path, roots: Roots) -> tuple[list[Any], int, int]:
    """(body, epoch, generation) of the newest whole slot."""
    file = (drive / "superblock").read_bytes()
    assert len(file) == 2 * 4096
    found = []
    for slot in (file[:4096], file[4096:]):
        if not any(slot):
            continue
        assert SUPERBLOCK.field(slot, "magic") == SUPERBLOCK.magic()
        assert SUPERBLOCK.number(slot, "version") == SUPERBLOCK.version()
        assert SUPERBLOCK.field(slot, "xxh3-128") == xxh3_128_digest(slot[:4080])
        sealed = SUPERBLOCK.variable(slot, "body", SUPERBLOCK.number(slot, "length of the body"))
        cipher = roots.derive(SUPERBLOCK.field(slot, "root key id"), "superblock")
        body = cipher.decrypt(SUPERBLOCK.field(slot, "nonce"), sealed, slot[:64])
        epoch, generation = (SUPERBLOCK.number(slot, one) for one in ("epoch", "generation"))
        found.append((epoch, generation, msgspec.msgpack.decode(body)))
    epoch, generation, decoded = max(found, key=lambda one: one[:2])
    return decoded, epoch, generation


def test_headers_of_mirrors_and_segments(data: Path) -> None:
    roles = set()
    for path in chunk_files(data):
        head = path.read_bytes()[:4096]
        ours = decode_header(head)
        roles.add((ours.kind, ours.role))
        assert HEADER.field(head, "magic") == HEADER.magic()
        assert HEADER.number(head, "version") == HEADER.version()
        assert HEADER.number(head, "kind") == {"landing": 1, "striped": 2}[ours.kind.value]
        assert HEADER.number(head, "role") == {"mirror": 1, "segment": 2}[ours.role]
        for what, value in (
            ("index", ours.index),
            ("k (", ours.k),
            ("m (", ours.m),
            ("number of members", len(ours.members)),
            ("epoch", ours.epoch),
            ("first sequence", ours.first_sequence),
            ("length", ours.length),
        ):
            assert HEADER.number(head, what) == value, (path, what)
        assert HEADER.field(head, "chunk id") == ours.chunk == bytes.fromhex(path.name[:32])
        assert HEADER.field(head, "root key id") == ours.key_id
        assert HEADER.field(head, "region").rstrip(b"\0").decode() == ours.region
        assert HEADER.field(head, "zone").rstrip(b"\0").decode() == ours.zone
        members = HEADER.variable(head, "drive ids", 16 * len(ours.members))
        assert members == b"".join(one.ljust(16, b"\0") for one in ours.members)
        assert HEADER.field(head, "xxh3-128") == xxh3_128_digest(head[:4080])
        assert path.parent.name == path.name[30:32]
    assert len(roles) == 3, "mirrors, re-laid and striped segments are there"


def chunk_files(data: Path) -> list[Path]:
    found = sorted(data.glob("drives/*/chunks/*/*"))
    assert found
    return found


def payload_of(path: Path, what: str) -> bytes:
    """The payload of a segment; its header's table says whose it is."""
    file = path.read_bytes()
    head, table = file[:4096], HEADER if what == "chunk" else SNAPSHOT
    name, index = table.field(head, f"{what} id"), table.number(head, "index")
    seed = xxh3_64_intdigest(
        name + struct.pack(">H", index) + struct.pack(">Q", table.number(head, "epoch"))
    )
    payload = b""
    for block in range((len(file) - 4096) // (BLOCK + 8)):
        at = 4096 + block * (BLOCK + 8)
        piece, checksum = file[at : at + BLOCK], file[at + BLOCK : at + BLOCK + 8]
        assert checksum == xxh3_64_digest(piece, (seed + block) % (1 << 64)), (path, block)
        payload += piece
    assert len(file) == 4096 + len(payload) // BLOCK * (BLOCK + 8)
    return payload


def rows_joined(segments: list[bytes]) -> bytes:
    """The data units of every row, one after the other: 1 MiB each, smaller in the last row."""
    size = len(segments[0])
    return b"".join(segment[at : at + MIB] for at in range(0, size, MIB) for segment in segments)


def test_blocks_of_every_segment(data: Path) -> None:
    segments = [path for path in chunk_files(data) if path.suffix == ".segment"]
    assert len(segments) >= 32
    for path in segments:
        payload_of(path, "chunk")


def landing_chunks(data: Path) -> dict[bytes, tuple[bytes, bytes, bytes]]:
    """Chunk id → (root key id, epoch as 8 bytes, logical bytes) of every landing chunk."""
    found: dict[bytes, tuple[bytes, bytes, bytes]] = {}
    segments: dict[bytes, dict[int, Path]] = {}
    for path in chunk_files(data):
        file = path.read_bytes()
        head = file[:4096]
        if HEADER.number(head, "kind") != 1:
            continue
        chunk = HEADER.field(head, "chunk id")
        facts = HEADER.field(head, "root key id"), HEADER.field(head, "epoch")
        if HEADER.number(head, "role") == 1:
            found.setdefault(chunk, (*facts, file[4096:]))
        else:
            segments.setdefault(chunk, {})[HEADER.number(head, "index")] = path
    for chunk, paths in segments.items():
        head = paths[0].read_bytes()[:4096]
        k, length = HEADER.number(head, "k ("), HEADER.number(head, "length")
        logical = rows_joined([payload_of(paths[index], "chunk") for index in range(k)])[:length]
        found[chunk] = HEADER.field(head, "root key id"), HEADER.field(head, "epoch"), logical
    return found


def groups(chunk: bytes, logical: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(group header, record) of each group of a landing chunk."""
    at = 0
    while logical[at : at + 4] == GROUP.magic():
        head = logical[at : at + 64]
        ours = decode_group_header(head, chunk)
        assert ours is not None
        assert GROUP.number(head, "version") == GROUP.version()
        seed = xxh3_64_intdigest(chunk + GROUP.field(head, "epoch"))
        blobs, record = GROUP.number(head, "b:"), GROUP.number(head, "r:")
        assert (ours.blob_bytes, ours.record_bytes) == (blobs, record)
        assert (ours.epoch, ours.sequence) == (
            GROUP.number(head, "epoch"),
            GROUP.number(head, "sequence"),
        )
        body = logical[at + 64 : at + 64 + blobs + record]
        assert GROUP.field(head, "xxh3-128 of the blobs") == xxh3_128_digest(body[:blobs], seed)
        assert GROUP.field(head, "xxh3-64 of the record") == xxh3_64_digest(body[blobs:], seed)
        assert GROUP.field(head, "xxh3-64 of bytes") == xxh3_64_digest(head[:56], seed)
        yield head, body[blobs:]
        at += 64 + blobs + record


def test_the_log_from_its_first_record_to_the_end_that_superblocks_name(data: Path) -> None:
    roots = Roots(data / "root.key")
    following: dict[bytes, tuple[int, bytes]] = {}
    keys = set()
    for chunk, (key_id, _, logical) in landing_chunks(data).items():
        keys.add(key_id)
        for head, sealed in groups(chunk, logical):
            epoch, sequence = GROUP.number(head, "epoch"), GROUP.number(head, "sequence")
            nonce = struct.pack(">IQ", epoch, sequence)
            plain = roots.derive(key_id, "log", chunk).decrypt(nonce, sealed, chunk + nonce)
            assert_record(plain, epoch, sequence)
            previous = RECORD.field(plain, "SHA-256 of the previous")
            following[previous] = sequence, hashlib.sha256(plain).digest()
    assert len(keys) == 2, "records under both root keys"
    here, at = 0, bytes(32)
    while at in following:
        sequence, at = following[at]
        assert sequence == here + 1
        here = sequence
    body, _, _ = newest_superblock(data / "drives/r1n1d1", roots)
    assert [here, at] == body[10:12]
    assert here == len(following)


def assert_record(plain: bytes, epoch: int, sequence: int) -> None:
    ours = decode_record(plain)
    assert RECORD.field(plain, "magic") == RECORD.magic()
    assert RECORD.number(plain, "format version") == RECORD.version()
    assert RECORD.number(plain, "epoch") == ours.epoch == epoch
    assert RECORD.number(plain, "sequence") == ours.sequence == sequence
    assert RECORD.number(plain, "schema version") == ours.schema_version
    assert RECORD.number(plain, "number of changes") == ours.changes
    kind = RECORD.variable(plain, "kind", RECORD.number(plain, "n:"))
    assert kind.decode() == ours.kind
    at = 72 + len(kind)
    columns = {}
    for _ in range(RECORD.number(plain, "t:")):
        name = plain[at + 1 : at + 1 + plain[at]]
        at += 1 + len(name)
        columns[name.decode()] = int.from_bytes(plain[at : at + 2], "big")
        at += 2
    assert columns == ours.columns
    body = plain[at:]
    assert len(body) == RECORD.number(plain, "bytes of the body as stored")
    if RECORD.number(plain, "how the body is stored"):
        body = zlib.decompress(body)
    assert len(body) == RECORD.number(plain, "bytes of the body once expanded")
    assert body == ours.body


def test_a_snapshot(data: Path, tmp_path: Path) -> None:
    roots = Roots(data / "root.key")
    body, _, _ = newest_superblock(data / "drives/r1n1d1", roots)
    name, epoch, sequence, digest, schema, length = body[13][-1]
    paths = {
        int(path.name.split(".")[1]): path
        for path in data.glob(f"drives/*/snapshots/{name.hex()}.*")
    }
    head = paths[0].read_bytes()[:4096]
    assert SNAPSHOT.field(head, "magic") == SNAPSHOT.magic()
    assert SNAPSHOT.number(head, "version") == SNAPSHOT.version()
    assert SNAPSHOT.field(head, "xxh3-128") == xxh3_128_digest(head[:4080])
    assert SNAPSHOT.number(head, "epoch") == epoch
    assert SNAPSHOT.number(head, "sequence of the last") == sequence
    assert SNAPSHOT.field(head, "hash of that record") == digest
    assert SNAPSHOT.number(head, "schema version") == schema
    assert SNAPSHOT.number(head, "length") == length
    assert SNAPSHOT.number(head, "number of members") == len(paths)
    k = SNAPSHOT.number(head, "k (")
    stream = rows_joined([payload_of(paths[index], "snapshot") for index in range(k)])[:length]
    cipher = roots.derive(SNAPSHOT.field(head, "root key id"), "snapshot", name)
    frames = [stream[at : at + MIB + 16] for at in range(0, length, MIB + 16)]
    plain = b"".join(
        cipher.decrypt(
            number.to_bytes(12, "big"),
            frame,
            name + struct.pack(">Q", number) + bytes([number == len(frames) - 1]),
        )
        for number, frame in enumerate(frames)
    )
    rows = tmp_path / "rows.sqlite"
    rows.write_bytes(zlib.decompress(plain))
    db = open_reader(str(rows))
    assert db.execute("SELECT sequence, hash FROM log_position").get == (sequence, digest)
    assert db.execute("SELECT count(*) FROM versions").get >= 6
    db.close()
