"""Whatever may happen to a few keys, all at once: puts, copies, deletes, uploads begun, completed
and aborted by anybody. Every body is known by the ETags that it may have, so that a reader can tell
a whole object from a broken one without knowing who won."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from threading import Lock, local
from urllib.parse import quote
from xml.etree import ElementTree

from msgspec import Struct

from .client import Answer, Client, target_of
from .ledger import BUCKET
from .node import Node

KEYS = ("a", "b/c", "é")
# How often what is tried, of all steps.
_WHAT = {
    "put": 4,
    "delete": 2,
    "delete many": 1,
    "copy": 2,
    "begin": 3,
    "part": 3,
    "complete": 5,
    "abort": 2,
    "read": 4,
}
# What may be answered when somebody else was faster, beside success.
_FASTER = {
    ("copy", 404, "NoSuchKey"),
    ("read", 404, "NoSuchKey"),
    ("part", 404, "NoSuchUpload"),
    ("complete", 404, "NoSuchUpload"),
    ("complete", 400, "InvalidPart"),
    ("abort", 404, "NoSuchUpload"),
}
_NOT_NOW = (503,)


class Upload(Struct):
    """An upload: the target of all its requests, and the ETags that its only part had."""

    where: str
    etags: list[str]


class Fray:
    """`written`: the body that an ETag stands for; `told`: how often what was answered."""

    def __init__(self, node: Node, seed: int) -> None:
        self._node = node
        self._seed = seed * 100_003
        self._steps = itertools.count()
        self._mine = local()
        self._lock = Lock()
        self._uploads: list[Upload] = []
        self.written: dict[str, bytes] = {}
        self.told: Counter[tuple[str, int, str]] = Counter()

    def step(self) -> None:
        """One request of whoever calls; AssertionError for an answer that no race excuses."""
        chance = random.Random(self._seed + next(self._steps))
        what = chance.choices(list(_WHAT), list(_WHAT.values()))[0]
        answer = self._send(what, self._client(), chance)
        if answer is None:
            return
        said = (what, answer.status, answer.code)
        with self._lock:
            self.told[said] += 1
        assert answer.status in (200, 204, *_NOT_NOW) or said in _FASTER, (
            f"{what}: {answer}\n{self._node.tail()}"
        )
        if what == "read" and answer.status == 200:
            self._check(answer)

    def check_all(self) -> None:
        """Every key and version that lists is read whole, and is what its ETag was given for."""
        client = Client(self._node)
        for one in client.listing(BUCKET):
            answer = client.get(BUCKET, one.key)
            assert (answer.status, answer.etag, len(answer.body)) == (200, one.etag, one.size)
            self._check(answer)
        for key, version_id, etag in _versions(client):
            answer = client.send("GET", f"{target_of(BUCKET, key)}?versionId={version_id}")
            assert (answer.status, answer.etag) == (200, etag)
            self._check(answer)

    def abort_all(self) -> None:
        """What can be listed of an upload can be aborted, and nothing is left then."""
        client = Client(self._node)
        for upload in self._uploads:
            listed = client.send("GET", upload.where)
            aborted = client.send("DELETE", upload.where)
            # The abort of a completed upload succeeds: as on AWS, for a while.
            assert listed.status in (200, 404)
            assert aborted.status == 204 or (listed.status, aborted.status) == (404, 404)
        answer = client.send("GET", f"/{BUCKET}?uploads")
        assert b"<Upload>" not in answer.body

    def _send(self, what: str, client: Client, chance: random.Random) -> Answer | None:
        target = target_of(BUCKET, chance.choice(KEYS))
        match what:
            case "put":
                return client.send("PUT", target, self._body(chance))
            case "delete":
                return client.send("DELETE", target)
            case "delete many":
                return _delete_all(client)
            case "copy":
                source = target_of(BUCKET, chance.choice(KEYS))
                headers = {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE"}
                return client.send("PUT", target, b"", headers)
            case "read":
                return client.send("GET", target)
            case "begin":
                upload = upload_of(client, chance.choice(KEYS), self._body(chance))
                with self._lock:
                    self._uploads.append(upload)
                return None
        return self._go_on(what, client, chance)

    def _go_on(self, what: str, client: Client, chance: random.Random) -> Answer | None:
        """The next request of an upload that others go on with too."""
        with self._lock:
            if not self._uploads:
                return None
            upload = chance.choice(self._uploads[-4:])
        if what == "part":
            answer = client.send("PUT", f"{upload.where}&partNumber=1", self._body(chance))
            if answer.status == 200:
                upload.etags.append(answer.etag)
            return answer
        if what == "complete":
            return client.send("POST", upload.where, completion(chance.choice(upload.etags)))
        return client.send("DELETE", upload.where)

    def _body(self, chance: random.Random) -> bytes:
        """A new body, entered under its ETag as an object and as the only part of one."""
        body = chance.randbytes(chance.choice((8, 3_000, 90_000)))
        digest = hashlib.md5(body, usedforsecurity=False)
        in_parts = hashlib.md5(digest.digest(), usedforsecurity=False).hexdigest()
        with self._lock:
            self.written[digest.hexdigest()] = self.written[f"{in_parts}-1"] = body
        return body

    def _check(self, answer: Answer) -> None:
        assert answer.body == self.written[answer.etag]

    def _client(self) -> Client:
        if not hasattr(self._mine, "client"):
            self._mine.client = Client(self._node)
        client: Client = self._mine.client
        return client


def upload_of(client: Client, key: str, body: bytes) -> Upload:
    """Begin an upload and send its only part."""
    target = target_of(BUCKET, key)
    begun = client.send("POST", f"{target}?uploads")
    assert begun.status == 200, begun
    found = ElementTree.fromstring(begun.body).iter()
    upload_id = next(one.text or "" for one in found if one.tag.endswith("UploadId"))
    where = f"{target}?uploadId={quote(upload_id, safe='')}"
    part = client.send("PUT", f"{where}&partNumber=1", body)
    assert part.status == 200, part
    return Upload(where, [part.etag])


def completion(etag: str) -> bytes:
    """The document that completes an upload of one part."""
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    return f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()


def _delete_all(client: Client) -> Answer:
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in KEYS)
    document = f"<Delete>{objects}</Delete>".encode()
    digest = base64.b64encode(hashlib.sha256(document).digest()).decode()
    return client.send("POST", f"/{BUCKET}?delete", document, {"x-amz-checksum-sha256": digest})


def _versions(client: Client) -> Iterator[tuple[str, str, str]]:
    """Key, version id and ETag of every version that is no delete marker."""
    after = ""
    while True:
        answer = client.send("GET", f"/{BUCKET}?{after}versions=")
        assert answer.status == 200, answer
        root = ElementTree.fromstring(answer.body)
        space = root.tag.partition("}")[0] + "}"
        for one in root.iter(f"{space}Version"):
            yield (
                one.findtext(f"{space}Key", ""),
                one.findtext(f"{space}VersionId", ""),
                one.findtext(f"{space}ETag", "").strip('"'),
            )
        if root.findtext(f"{space}IsTruncated") != "true":
            return
        key = quote(root.findtext(f"{space}NextKeyMarker", ""), safe="")
        version_id = root.findtext(f"{space}NextVersionIdMarker", "")
        after = f"key-marker={key}&version-id-marker={version_id}&"
