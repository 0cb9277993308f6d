"""What a request says of itself, as policies' conditions ask for it: found when asked for.

Keys are AWS's condition keys in lower case. A fact that the request does not have is absent, none
is made up. Conditions on the tags of an object look at the version that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from coffre.access.principals import Principal
from coffre.wire.claim import Claim
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.tags import parse_form

Tags = Callable[[], Mapping[str, str]]
Said = Mapping[str, str | None]
_Reader = Callable[["RequestFacts"], str | None]

_DAY_MS: Final = 24 * 3600 * 1000
_OLD_TAG: Final = "s3:existingobjecttag/"
_BUCKET_TAGS: Final = ("aws:resourcetag/", "s3:buckettag/")
_NEW_TAG: Final = "s3:requestobjecttag/"
# Keys are of the store that they are asked for, so who signs and what is asked for share one.
_OF_STORES: Final = ("aws:principalarn", "aws:principalaccount", "s3:resourceaccount")
_NEW_TAG_KEYS: Final = "s3:requestobjecttagkeys"
_HEADERS: Final = {
    "aws:useragent": b"user-agent",
    "aws:referer": b"referer",
    **{
        f"s3:{name}": name.encode()
        for name in (
            *("x-amz-acl", "x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp"),
            *("x-amz-grant-write-acp", "x-amz-grant-full-control", "x-amz-copy-source"),
            *("x-amz-metadata-directive", "x-amz-server-side-encryption"),
            *("x-amz-server-side-encryption-aws-kms-key-id", "x-amz-storage-class"),
            *("x-amz-server-side-encryption-customer-algorithm", "x-amz-object-ownership"),
            *("x-amz-website-redirect-location", "x-amz-content-sha256"),
            *("if-match", "if-none-match"),
        )
    },
    "s3:object-lock-mode": b"x-amz-object-lock-mode",
    "s3:object-lock-legal-hold": b"x-amz-object-lock-legal-hold",
    "s3:object-lock-retain-until-date": b"x-amz-object-lock-retain-until-date",
}
_QUERY: Final = {
    "s3:prefix": "prefix",
    "s3:delimiter": "delimiter",
    "s3:max-keys": "max-keys",
    "s3:versionid": "versionId",
}


def _no_tags() -> Mapping[str, str]:
    return {}


class RequestFacts(Mapping[str, tuple[str, ...]]):
    """The facts of one request about one thing that it asks for.

    `said` are facts that the request's body says and its handler knows (`s3:object-lock-mode` of a
    retention that is put; None: it does not, whatever a header says); `tags` gives those of the
    version that is asked for, `bucket_tags` those of its bucket. `new_tags` are what its body gives
    the object; without a body that does, the header says it.
    """

    def __init__(
        self,
        head: RequestHead,
        principal: Principal,
        claim: Claim | None,
        now_ms: int,
        tags: Tags = _no_tags,
        said: Said | None = None,
        bucket_tags: Tags = _no_tags,
        new_tags: Mapping[str, str] | None = None,
    ) -> None:
        self.head = head
        self.principal = principal
        self.claim = claim
        self.now_ms = now_ms
        self._tags = tags
        self._bucket_tags = bucket_tags
        self._said = said or {}
        self._sent_tags = new_tags

    def about(
        self,
        tags: Tags,
        bucket_tags: Tags,
        said: Said | None = None,
        new_tags: Mapping[str, str] | None = None,
    ) -> RequestFacts:
        """The same request's, about something else."""
        same = (self.head, self.principal, self.claim, self.now_ms)
        return RequestFacts(*same, tags, said, bucket_tags, new_tags)

    def __getitem__(self, key: str) -> tuple[str, ...]:
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        known = dict(self.principal.known)
        keys = (*_READERS, *_HEADERS, *_QUERY, *_OF_STORES, *known, *self._said)
        return (key for key in keys if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _find(self, key: str) -> tuple[str, ...] | None:
        value: str | None
        if key in self._said:
            value = self._said[key]
        elif key in _HEADERS:
            value = self.head.header(_HEADERS[key])
        elif key in _QUERY:
            value = self.head.query.get(_QUERY[key])
        elif key in _READERS:
            value = _READERS[key](self)
        elif key in _OF_STORES:
            return _by_store(self.principal, key)
        elif key in dict(self.principal.known):
            value = dict(self.principal.known)[key]
        elif key.startswith(_OLD_TAG):
            return _tag(self._tags(), key.removeprefix(_OLD_TAG))
        elif key.startswith(_BUCKET_TAGS):
            return _tag(self._bucket_tags(), key.partition("/")[2])
        elif key.startswith(_NEW_TAG):
            return _tag(self._new_tags(), key.removeprefix(_NEW_TAG))
        elif key == _NEW_TAG_KEYS:
            return tuple(self._new_tags()) or None
        else:
            return None
        return None if value is None else (value,)

    def _new_tags(self) -> Mapping[str, str]:
        """Tags that the request gives. What is malformed is the handler's to refuse."""
        if self._sent_tags is not None:
            return self._sent_tags
        header = self.head.header(b"x-amz-tagging")
        try:
            return {} if header is None else parse_form(header)
        except S3Error:
            return {}


def _tag(tags: Mapping[str, str], key: str) -> tuple[str, ...] | None:
    """A tag by its key; condition keys come without case, tags have it."""
    found = tuple(value for name, value in tags.items() if name.lower() == key)
    return found or None


def _signature_age(facts: RequestFacts) -> str | None:
    claim = facts.claim
    if claim is None or not claim.signed_at_ms:
        return None
    return str(facts.now_ms - claim.signed_at_ms)


def _retention_days(facts: RequestFacts) -> str | None:
    """Whole days, begun ones counted, that the retention asked for still has to run."""
    until = facts.get("s3:object-lock-retain-until-date")
    if until is None:
        return None
    try:
        read = datetime.fromisoformat(until[0])
    except ValueError:
        return None
    end_ms = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000
    return str(-int(-(end_ms - facts.now_ms) // _DAY_MS))


def _auth_type(facts: RequestFacts) -> str | None:
    if facts.claim is None:
        return None
    return "REST-QUERY-STRING" if facts.claim.scheme.is_query else "REST-HEADER"


def _signature_version(facts: RequestFacts) -> str | None:
    if facts.claim is None:
        return None
    return "AWS4-HMAC-SHA256" if facts.claim.scheme.is_v4 else "AWS"


def _by_store(one: Principal, key: str) -> tuple[str, ...] | None:
    """What names the principal's store: by its account's number and by its name, for policies may
    use either. A session's ARN is its role's."""
    stores = tuple(store for store in (one.account, one.store) if store)
    if key == "aws:principalarn":
        path = one.role_path or one.path
        return tuple(f"arn:aws:iam::{store}:{path}" for store in stores) if path else None
    return stores or None


def _principal_type(facts: RequestFacts) -> str:
    if facts.principal.user_id is None:
        return "Anonymous"
    return "AssumedRole" if facts.principal.kind == "role" else "User"


def _region(facts: RequestFacts) -> str | None:
    """One that a signature names, which must be ours."""
    return None if facts.claim is None else facts.claim.region or None


def _is_service(facts: RequestFacts) -> str | None:
    """Said of whoever signs, and of services."""
    who = facts.principal
    if who.service:
        return "true"
    return None if who.user_id is None else "false"


def _creates_object(facts: RequestFacts) -> str | None:
    """Whether a write makes an object: not what begins an upload or adds to one, which no condition
    on the object that it makes can come with."""
    named = {"PUT": "uploadId", "POST": "uploads"}.get(facts.head.method)
    if named is None:
        return None
    return "false" if named in facts.head.query else "true"


_READERS: Final[dict[str, _Reader]] = {
    "aws:currenttime": lambda facts: datetime.fromtimestamp(facts.now_ms / 1000, UTC).isoformat(),
    "aws:epochtime": lambda facts: str(facts.now_ms // 1000),
    "aws:principaltype": _principal_type,
    "aws:sourceip": lambda facts: facts.head.client or None,
    "aws:securetransport": lambda facts: "true" if facts.head.scheme == "https" else "false",
    "aws:username": lambda facts: facts.principal.name or None,
    "aws:userid": lambda facts: facts.principal.user_id,
    "aws:principalisawsservice": _is_service,
    "aws:requestedregion": _region,
    # No service here calls another in somebody's name.
    "aws:viaawsservice": lambda facts: "false",
    "s3:authtype": _auth_type,
    "s3:objectcreationoperation": _creates_object,
    "s3:signatureversion": _signature_version,
    "s3:signatureage": _signature_age,
    "s3:object-lock-remaining-retention-days": _retention_days,
}
