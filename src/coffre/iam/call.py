"""One call of IAM or STS, and what its handler needs: who asks, for what, and who answers."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, TypeVar

from msgspec.structs import replace

from coffre.access.decision import Judged, Resource, explain
from coffre.access.patterns import Facts
from coffre.access.principals import Principal, account_of
from coffre.catalog.iam_records import IamEntity, IamFacts, IamKind
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.mutations import Mutation, Refusal
from coffre.catalog.records import Secret, Store
from coffre.iam import built_in
from coffre.iam.built_in import BuiltIn
from coffre.iam.parameters import Parameters
from coffre.iam.sessions import Session, Sessions
from coffre.iam.signers import OpensSecrets
from coffre.iam.web_tokens import WebTokens
from coffre.system.entropy import Entropy
from coffre.wire.query_protocol import ERRORS, QueryError, Value

_T = TypeVar("_T")
Result = Mapping[str, Value] | None
PAGE: Final = 100
LONGEST_PAGE: Final = 1000
IN_S3: Final = "arn:aws:s3:::"
# A refusal of the catalog's -> what it is called here.
_REFUSALS: Final = {
    "AccessKeyLimit": ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"),
    "InvalidAccessKeyId": ("NoSuchEntity", "The Access Key cannot be found."),
    "NoSuchUser": ("NoSuchEntity", "The user cannot be found."),
}


class Keyring(OpensSecrets, Protocol):
    def wrap_secret(self, secret: str, /) -> Secret: ...


def unknown(access_key: str, /) -> int | None:
    """The `last_used` of those who keep no record of it."""
    return None


@dataclass(frozen=True, slots=True)
class Iam:
    """All that IAM and STS stand on. `last_used` says when an access key last signed (ms), None
    where nobody knows. `judged` is told what decided."""

    reader: Reader
    committer: Committer
    keyring: Keyring
    sessions: Sessions
    entropy: Entropy
    web_tokens: WebTokens
    last_used: Callable[[str], int | None] = unknown
    judged: Judged | None = None


class Overlay(Mapping[str, tuple[str, ...]]):
    """What a call says of itself over what its request does."""

    def __init__(self, said: Mapping[str, tuple[str, ...]], request: Facts) -> None:
        self._said = said
        self._request = request

    def __getitem__(self, key: str) -> tuple[str, ...]:
        return self._said[key] if key in self._said else self._request[key]

    def __iter__(self) -> Iterator[str]:
        return iter({*self._said, *self._request})

    def __len__(self) -> int:
        return len({*self._said, *self._request})


@dataclass(frozen=True, slots=True)
class Policy:
    """A managed policy as its ARN names it; `id` is what entities are tied to."""

    id: str
    name: str
    path: str
    arn: str
    made_of: IamEntity | BuiltIn

    @property
    def entity(self) -> IamEntity | None:
        """None for one that is built in."""
        return self.made_of if isinstance(self.made_of, IamEntity) else None


@dataclass(frozen=True, slots=True)
class Call:
    """`key` is the long-term access key behind the signature, `session` the session that signed,
    where one did."""

    iam: Iam
    store: Store
    principal: Principal
    parameters: Parameters
    facts: Facts
    now_ms: int
    key: str = ""
    session: Session | None = None

    @property
    def reader(self) -> Reader:
        return self.iam.reader

    @property
    def account(self) -> str:
        return account_of(self.store.id)

    def arn(self, kind: str, path: str, name: str) -> str:
        return f"arn:aws:iam::{self.account}:{kind}{path}{name}"

    def arn_of(self, entity: IamEntity) -> str:
        return self.arn(entity.kind, entity.path, entity.name)

    def find(self, kind: IamKind, parameter: str | None = None) -> IamEntity:
        """The user, group or role that a parameter names. Raises NoSuchEntity."""
        name = self.parameters.text(parameter or NAMES[kind])
        found = self.reader.iam_entity(self.store.id, kind, name)
        if found is None:
            raise QueryError("NoSuchEntity", f"The {kind} with name {name} cannot be found.")
        return found

    def policy(self, arn: str) -> Policy:
        """A managed policy. Raises NoSuchEntity, InvalidInput for an ARN of something else."""
        if arn in built_in.BY_ARN:
            one = built_in.BY_ARN[arn]
            policy_id = built_in.id_in(one, self.account)
            return Policy(policy_id, one.name, one.path, arn, one)
        path, name = self._named("policy", arn)
        found = self.reader.iam_entity(self.store.id, "policy", name)
        if found is None or (found.path, found.name) != (path, name):
            raise QueryError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
        return Policy(found.id, found.name, found.path, self.arn_of(found), found)

    def normal(self, arn: str) -> str:
        """An ARN with the account's number, where it has its name: policies know it by that."""
        parts = arn.split(":", 5)
        if len(parts) == 6 and parts[4] == self.store.name:
            parts[4] = self.account
        return ":".join(parts)

    def own_policy(self) -> IamEntity:
        """The managed policy of `PolicyArn`, which is not built in."""
        found = self.policy(self.parameters.text("PolicyArn")).entity
        if found is None:
            raise QueryError("AccessDenied", "Policies that are built in cannot be changed.")
        return found

    def _named(self, kind: str, arn: str) -> tuple[str, str]:
        """Path and name in an ARN of this account."""
        parts = arn.split(":", 5)
        if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith(f"{kind}/"):
            raise QueryError("InvalidInput", f"ARN {arn} is not valid.")
        if parts[4] not in (self.account, self.store.name):
            raise QueryError("NoSuchEntity", f"{arn} is of another account.")
        path, _, name = parts[5].removeprefix(kind).rpartition("/")
        return f"{path}/", name

    def entity_of(self, arn: str, *kinds: IamKind) -> IamEntity:
        """A user, group or role by its ARN. Raises NoSuchEntity, InvalidInput."""
        for kind in kinds:
            if f":{kind}/" in arn:
                path, name = self._named(kind, arn)
                found = self.reader.iam_entity(self.store.id, kind, name)
                if found is None or (found.path, found.name) != (path, name):
                    raise QueryError("NoSuchEntity", f"{arn} cannot be found.")
                return found
        raise QueryError("InvalidInput", f"ARN {arn} is not valid.")

    def require(self, action: str, arn: str, said: Mapping[str, tuple[str, ...]]) -> None:
        """AccessDenied unless the caller may."""
        facts = Overlay(said, self.facts)
        found = explain(self.principal, action, resource_of(action, arn), facts)
        if self.iam.judged is not None:
            self.iam.judged.decided = found.by
        if not found.decision.allowed:
            raise QueryError(
                "AccessDenied",
                f"User: {caller_arn(self.principal)} is not authorized to perform: {action} on"
                f" resource: {arn}",
            )

    async def commit(self, *mutations: Mutation) -> None:
        """In order, until one is refused; with IAM's codes."""
        for mutation in mutations:
            try:
                await self.iam.committer.commit(mutation)
            except Refusal as refusal:
                raise_known(refusal)

    def page(
        self, items: list[_T], name_of: Callable[[_T], str], *, most: int = LONGEST_PAGE
    ) -> tuple[list[_T], Result]:
        """One page of what is sorted by name without case, and what an answer says of it."""
        after = self.after
        behind = [one for one in items if name_of(one).lower() > after] if after else items
        return self.cut(behind, name_of, most=most)

    def cut(
        self, items: list[_T], name_of: Callable[[_T], str], *, most: int = LONGEST_PAGE
    ) -> tuple[list[_T], Result]:
        """As `page`, of items that begin behind the marker."""
        most = min(most, self.parameters.number("MaxItems", PAGE))
        page = items[:most]
        if len(items) <= most:
            return page, {"IsTruncated": False}
        marker = urlsafe_b64encode(name_of(page[-1]).lower().encode()).decode()
        return page, {"IsTruncated": True, "Marker": marker}

    @property
    def after(self) -> str:
        """The name that a page begins behind. Raises InvalidInput."""
        marker = self.parameters.optional("Marker")
        try:
            return "" if marker is None else b64decode(marker, b"-_", validate=True).decode()
        except ValueError:
            raise QueryError("InvalidInput", "The marker is not one of ours.") from None


NAMES: Final[dict[IamKind, str]] = {
    "user": "UserName",
    "group": "GroupName",
    "role": "RoleName",
    "policy": "PolicyName",
}
Handler = Callable[[Call], Awaitable[Result]]


def raise_known(refusal: Refusal) -> NoReturn:
    """A refusal of the catalog's in IAM's words; itself where it has none."""
    if refusal.code in _REFUSALS:
        raise QueryError(*_REFUSALS[refusal.code]) from refusal
    if refusal.code in ERRORS:
        raise QueryError(refusal.code, refusal.message) from refusal
    raise refusal


def resource_of(action: str, arn: str) -> Resource:
    """What an action is asked on as the decision takes it: buckets and objects without what every
    ARN of theirs begins with, everything else as something that no bucket's pattern fits."""
    if action.startswith("s3:"):
        return Resource(arn=arn.removeprefix(IN_S3))
    return Resource(arn="arn:*" if arn == "*" else arn)


def caller_arn(principal: Principal) -> str:
    """As GetCallerIdentity tells it."""
    service = "sts" if principal.kind == "role" else "iam"
    path = "root" if principal.root else principal.path
    return f"arn:aws:{service}::{principal.account}:{path}"


def facts_with(entity: IamEntity, **changes: Any) -> IamFacts:
    """An entity's facts with some changed."""
    return replace(entity.facts, **changes)
