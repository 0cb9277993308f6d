"""The decision: may this principal do this to that? Pure, from values alone.

In this order:

1. A locked user may nothing.
2. A bucket's owner may always get, put and delete its policy: no bucket's policy locks its owner
   out. What its own policies deny an IAM identity, or what bounds it, holds here too.
3. An explicit denial, of whichever policy, beats every permission.
4. A boundary and a session's policies bound what an IAM identity may, whoever allows it.
5. Any of these allows: the bucket's policy (unless it is public and the bucket restricts such), the
   identity's own policies, a role on the bucket, owning the bucket (object users), being a user of
   the store (the list of one's own buckets, creating one), an ACL (`access.acl`), and, for all of
   IAM, being the account's root user.

What nobody allows is denied. Source: AWS "Policy evaluation logic"; roles are the spec's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from coffre.access import acl, roles
from coffre.access.acl import NO_CONTROL, Control
from coffre.access.patterns import Facts
from coffre.access.policy import Asked, Policy, Statement
from coffre.access.principals import Principal

NO_FACTS: Final[Facts] = {}


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for: the service (no bucket), a bucket, or an object in it.

    `control` may be left out where the principal owns the bucket: it changes nothing then.
    `restricted`: the policy is public, and the bucket lets only users of its store use such a one.
    `role` is the principal's role on the bucket. `arn` names what is not S3's, "*" all of it;
    `policy` is then what it says of itself (whom a role trusts).
    """

    bucket: str | None = None
    owner_id: str | None = None
    key: bytes | None = None
    control: Control = NO_CONTROL
    policy: Policy | None = None
    restricted: bool = False
    role: roles.Role | None = None
    arn: str = ""

    @property
    def path(self) -> str:
        """As policies name it: "", `bucket`, `bucket/key` or an ARN."""
        if self.arn:
            return self.arn
        if self.key is None:
            return self.bucket or ""
        return f"{self.bucket}/{self.key.decode(errors='surrogateescape')}"


@dataclass(frozen=True, slots=True)
class Identity:
    """An IAM identity's own policies, by name. `boundary` and `session` bound, they never allow;
    None: there is none."""

    policies: Mapping[str, Policy]
    boundary: Mapping[str, Policy] | None = None
    session: Mapping[str, Policy] | None = None


SERVICE: Final = Resource()
NOBODYS: Final = Identity({})


class Decision(Enum):
    """An explicit denial beats every permission; the default denial is only nobody's permission."""

    ALLOW = "allow"
    DENY = "deny"
    NOBODY_ALLOWS = "nobody allows"

    @property
    def allowed(self) -> bool:
        return self is Decision.ALLOW


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what decided: `source` in plain words (a policy's name, `role`, `ACL`, …),
    and the statement of a policy that did. `word` is what it is called where none did."""

    decision: Decision
    source: str
    statement: Statement | None = None
    word: str = ""

    @property
    def by(self) -> str:
        """What decided, in one word: `owner`, `acl`, `bucket-policy:SID`, `policy:NAME:SID`; a
        statement without an id is named by its place in the document."""
        statement = self.statement
        if statement is None:
            return self.word
        where = "bucket-policy" if self.source == _BUCKET_POLICY else f"policy:{self.source}"
        return f"{where}:{statement.sid or statement.place}"


class Judged(Protocol):
    """Who is told which statement or rule decided (`Explanation.by`)."""

    decided: str


_OF_EVERY_USER: Final = frozenset({"s3:CreateBucket", "s3:ListAllMyBuckets"})
_OWNERS_ALWAYS: Final = frozenset(
    {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
)
_BUCKET_POLICY: Final = "bucket policy"
_LOCKED: Final = Explanation(Decision.DENY, "the user is locked", word="locked")
_OWNER: Final = Explanation(Decision.ALLOW, "owner of the bucket", word="owner")
_USER: Final = Explanation(Decision.ALLOW, "user of the store", word="user")
_ROLE: Final = Explanation(Decision.ALLOW, "role on the bucket", word="role")
_ACL: Final = Explanation(Decision.ALLOW, "ACL", word="acl")
_ROOT: Final = Explanation(Decision.ALLOW, "root user of the account", word="root")
_NOBODY: Final = Explanation(Decision.NOBODY_ALLOWS, "nothing allows it", word="nothing-allows")
_SHUT: Final = Explanation(Decision.NOBODY_ALLOWS, "nothing allows it", word="public-block")
_BOUNDARY: Final = Explanation(
    Decision.NOBODY_ALLOWS, "the permission boundary does not allow it", word="boundary"
)
_SESSION: Final = Explanation(
    Decision.NOBODY_ALLOWS, "the session's policies do not allow it", word="session-policy"
)


def decide(
    principal: Principal,
    permission: str,
    resource: Resource,
    facts: Facts = NO_FACTS,
    identity: Identity | None = None,
) -> Decision:
    """Whether `principal` may use `permission` (an action name of AWS's) on `resource`.

    `facts` is what the request says of itself; `identity` takes the place of the principal's own
    policies.
    """
    return explain(principal, permission, resource, facts, identity).decision


def explain(
    principal: Principal,
    permission: str,
    resource: Resource,
    facts: Facts = NO_FACTS,
    identity: Identity | None = None,
) -> Explanation:
    """`decide`, with what decided."""
    identity = identity or principal.identity or NOBODYS
    if principal.locked:
        return _LOCKED
    owns = principal.user_id is not None and principal.user_id == resource.owner_id
    if owns and permission in _OWNERS_ALWAYS:
        own = Asked(principal, permission, resource.path, facts)
        judged = _by_policies(own, replace(resource, policy=None), identity)
        return judged if judged is not None and not judged.decision.allowed else _OWNER
    allowed: Explanation | None = None
    if resource.policy is not None or identity is not NOBODYS:
        asked = Asked(principal, permission, resource.path, facts)
        judged = _by_policies(asked, resource, identity)
        if judged is _SHUT:
            found = _otherwise(principal, permission, resource, owns)
            return _SHUT if found is _NOBODY else found
        if judged is not None and judged.decision is not Decision.ALLOW:
            return judged
        allowed = judged
    return allowed or _otherwise(principal, permission, resource, owns)


def _by_policies(asked: Asked, resource: Resource, identity: Identity) -> Explanation | None:
    """What the policies say; None when they neither deny nor allow. `_SHUT`: the bucket's would
    allow, were it not public."""
    # In order, not by name: what bounds an identity may be called like what allows it, or be it.
    giving = list(identity.policies.items())
    if resource.policy is not None:
        giving.insert(0, (_BUCKET_POLICY, resource.policy))
    bounds = [*(identity.boundary or {}).items(), *(identity.session or {}).items()]
    allowed: Explanation | None = None
    blocked: Explanation | None = None
    for at, (name, policy) in enumerate((*giving, *bounds)):
        statement = _first(policy, asked)
        if statement is None:
            continue
        if not statement.allows:
            return Explanation(Decision.DENY, name, statement)
        signed = asked.principal.user_id is not None
        shut = policy is resource.policy and resource.restricted and not signed
        if shut:
            blocked = _SHUT
        if allowed is None and at < len(giving) and not shut:
            allowed = Explanation(Decision.ALLOW, name, statement)
    for bound, refusal in ((identity.boundary, _BOUNDARY), (identity.session, _SESSION)):
        if bound is not None and not any(_first(one, asked) for one in bound.values()):
            return refusal
    return allowed or blocked


def _first(policy: Policy, asked: Asked) -> Statement | None:
    """The first statement that applies; those that deny come first."""
    for statement in policy.about(asked.action, asked.principal):
        if statement.applies(asked):
            return statement
    return None


def _otherwise(
    principal: Principal, permission: str, resource: Resource, owns: bool
) -> Explanation:
    """What is allowed without a policy."""
    if principal.kind == "object":
        if owns:
            return _OWNER
        may = principal.creates_buckets or permission != "s3:CreateBucket"
        if principal.user_id is not None and permission in _OF_EVERY_USER and may:
            return _USER
        if principal.root and permission.startswith("iam:"):
            return _ROOT
    if resource.role is not None and roles.allows(resource.role, permission):
        return _ROLE
    if acl.allows(principal.user_id, permission, resource.control):
        return _ACL
    return _NOBODY
