"""Sixteen writers: small and large bodies, overwrites, deletes, multipart uploads, reads.

Each writer owns its keys, so that what a key may read as follows from its own answers. A key whose
last answer was lost is left alone until `check` has read it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from xml.etree import ElementTree

from .client import Answer, Client, Lost, Unsent, target_of
from .ledger import BUCKET, Ledger, Value, read_value, value_of
from .node import Node, wait_until

WRITERS = 16
_KEYS = 12
_LARGE_KEYS = 2
_PART_BYTES = 5 << 20
_PATIENCE_S = 0.02
# Answers that say "not now": the operation may be tried again, its outcome is not told.
_NOT_NOW = (500, 503, 507)


class Trouble(Exception):
    """An answer that no fault excuses."""


class _Upload:
    """A multipart upload under way; it outlives restarts."""

    def __init__(self, key: str, upload_id: str, parts: list[bytes]) -> None:
        self.key = key
        self.id = upload_id
        self.parts = parts
        self.etags: list[str] = []


class Writer:
    """One writer's keys, connection and uploads under way."""

    def __init__(self, node: Node, ledger: Ledger, name: str, seed: int) -> None:
        self._node = node
        self._ledger = ledger
        self._client = Client(node)
        self._random = random.Random(seed)
        self._keys = [f"{name}/small/{i}" for i in range(_KEYS)]
        self._large = [f"{name}/large/{i}" for i in range(_LARGE_KEYS)]
        self._whole = f"{name}/in parts/é & +"
        self._upload: _Upload | None = None
        self.refusals: Counter[str] = Counter()

    def step(self) -> None:
        """One operation. Raises Unsent, Lost, Trouble."""
        chance = self._random.random()
        if chance < 0.55:
            self._put(self._random.choice(self._keys), self._random.randint(1, 65536))
        elif chance < 0.60:
            self._put(self._random.choice(self._large), self._random.randint(2 << 20, 8 << 20))
        elif chance < 0.75:
            self._change(self._random.choice(self._keys + self._large), "DELETE", None, b"")
        elif chance < 0.80:
            self._in_parts()
        else:
            self._read(self._random.choice(self._ledger.known() or self._keys))

    def _put(self, key: str, size: int) -> None:
        body = self._random.randbytes(size)
        self._change(key, "PUT", value_of(body), body)

    def _change(self, key: str, method: str, new: Value, body: bytes, query: str = "") -> Answer:
        """An operation that gives a key a new value, entered in the ledger."""
        if self._ledger.in_doubt(key):
            raise Unsent("left alone until it is known")
        before = self._ledger.begin(key, new)
        try:
            answer = self._client.send(method, target_of(BUCKET, key) + query, body)
        except Unsent:
            self._ledger.restore(key, before)
            raise
        if self._told(answer):
            self._ledger.acknowledge(key, new)
        return answer

    def _told(self, answer: Answer) -> bool:
        """Was it done? Raises Trouble for a refusal that no fault excuses."""
        if answer.status in (200, 204):
            return True
        if answer.status not in _NOT_NOW:
            raise Trouble(f"{answer.status} {answer.body[:400]!r}")
        self.refusals[f"{answer.status} {answer.code}"] += 1
        return False

    def _read(self, key: str) -> None:
        """A key of anyone's; judged only when it is ours: others' change while we read."""
        possible = self._ledger.possible(key)
        answer = self._client.send("GET", target_of(BUCKET, key))
        if answer.status in _NOT_NOW:
            self.refusals[f"GET {answer.status} {answer.code}"] += 1
            return
        seen = read_value(answer)
        mine = key in self._keys or key in self._large or key == self._whole
        if mine and seen not in possible:
            raise Trouble(f"{key}: reads as {seen}, may be {possible}")

    def _in_parts(self) -> None:
        """The next step of the upload under way. What was acknowledged of it must be there still:
        an upload or part that is not known any more is Trouble."""
        upload = self._upload
        target = target_of(BUCKET, self._whole)
        if self._ledger.in_doubt(self._whole):
            raise Unsent("left alone until it is known")
        if upload is None:
            answer = self._client.send("POST", f"{target}?uploads")
            if self._told(answer):
                found = ElementTree.fromstring(answer.body)
                upload_id = next(e.text or "" for e in found.iter() if e.tag.endswith("UploadId"))
                sizes = (_PART_BYTES, self._random.randint(1, 100_000))
                parts = [self._random.randbytes(size) for size in sizes]
                self._upload = _Upload(self._whole, upload_id, parts)
        elif len(upload.etags) < len(upload.parts):
            number = len(upload.etags) + 1
            query = f"?partNumber={number}&uploadId={upload.id}"
            answer = self._client.send("PUT", target + query, upload.parts[number - 1])
            if self._told(answer):
                upload.etags.append(answer.etag)
        else:
            self._upload = None
            new = value_of(b"".join(upload.parts))
            query = f"?uploadId={upload.id}"
            self._change(self._whole, "POST", new, _completion(upload), query)

    def run(self, stop: Event, troubles: list[str]) -> None:
        """Step until told to stop; what is wrong goes to `troubles`, and ends the writer."""
        while not stop.is_set():
            try:
                self.step()
            except (Unsent, Lost):
                stop.wait(_PATIENCE_S)
            except (Trouble, AssertionError) as trouble:
                troubles.append(str(trouble))
                return


class Load:
    """All writers; `running` makes them write for the time of a `with`."""

    def __init__(self, node: Node, ledger: Ledger, seed: int, writers: int = WRITERS) -> None:
        self._node = node
        self._ledger = ledger
        self.writers = [
            Writer(node, ledger, f"writer {i}", seed * 1000 + i) for i in range(writers)
        ]

    @property
    def refusals(self) -> Counter[str]:
        """How often which "not now" was answered, ever."""
        return sum((writer.refusals for writer in self.writers), Counter())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Fails when a writer met what no fault excuses."""
        stop, troubles = Event(), list[str]()
        threads = [Thread(target=w.run, args=(stop, troubles), daemon=True) for w in self.writers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not troubles, "\n".join([*troubles[:10], self._node.tail()])

    def goes_on(self, operations: int = 40, patience: float = 120.0) -> None:
        """Wait until so many more operations were acknowledged."""
        aim = self._ledger.acknowledged + operations
        wait_until(lambda: self._ledger.acknowledged >= aim, "the service does not go on", patience)

    def moment(self, longest: float, chance: random.Random) -> None:
        """Let it run until a random moment."""
        time.sleep(chance.uniform(0, longest))


def _completion(upload: _Upload) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
        for number, etag in enumerate(upload.etags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
