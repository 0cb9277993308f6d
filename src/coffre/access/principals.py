"""Who a policy's statement is about: principals as policies write them, against who asks.

AWS's ARNs (`arn:aws:iam::STORE:user/NAME`), ECS's (`urn:ecs:iam::STORE:user/NAME`), and, as ECS
writes them, plain access keys and names. `*` is everybody, signed or not. STORE is a store's name
or the number of the account that it is.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from coffre.access.decision import Identity

_HEADS: Final = ("arn:aws:iam::", "urn:ecs:iam::", "arn:aws:sts::", "urn:ecs:sts::")
_KINDS: Final = ("user/", "role/", "assumed-role/", "federated-user/")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ISSUER: Final = re.compile(
    r"(?:arn:aws:iam::[^:]*:oidc-provider/|https://)?([^:/*?]+(?:[:/][^*?]*)?)"
)


class BadPrincipal(ValueError):
    """What a policy names can be nobody."""


@lru_cache(maxsize=1024)
def account_of(store_id: bytes) -> str:
    """The 12 digits of the account that a store is in ARNs: of its id, so they never change."""
    digest = hashlib.sha256(b"coffre account " + store_id).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 10**12:012}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user_id` is the Owner ID of S3 answers (of a role's session, its id and the
    session's name); None is everybody (not signed).

    What policies know it by: `store` is the name of its store (namespace), `account` the number of
    that, `path` what an ARN says behind it (`user/ann`, `assumed-role/ROLE/SESSION`), `role_path`
    the role of a session (`role/team/ROLE`), `service` the name of a service that acts by itself,
    `issuer` who vouches for somebody of another house. `root`: the account's own user. `known` are
    facts of it by lower-case condition key. `identity` are its own policies, where it can have
    some. `root_id` is the Owner ID of the account's root user.
    `creates_buckets`: it may, where no policy says anything of it.
    """

    user_id: str | None
    label: str = ""
    locked: bool = False
    kind: Literal["object", "iam", "role", "service", "federated"] = "object"
    store: str = ""
    path: str = ""
    access_key: str = ""
    service: str = ""
    account: str = ""
    role_path: str = ""
    issuer: str = ""
    root: bool = False
    root_id: str = ""
    creates_buckets: bool = True
    known: tuple[tuple[str, str], ...] = ()
    identity: Identity | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """`aws:username`: an IAM user's name, an object user's access key. A role's session has
        none: whoever assumes a role names the session as they like."""
        if self.kind == "role":
            return ""
        return self.path.rpartition("/")[2] if self.kind == "iam" else self.access_key

    @property
    def owner_id(self) -> str | None:
        """Whose is what it makes: its own, of a role's session the account's."""
        return self.root_id if self.kind == "role" else self.user_id


ANONYMOUS: Final = Principal(None)


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom an element names, told apart by how: `plain` are access keys, names and Owner IDs,
    `paths` (store, path) of ARNs, `roots` stores as a whole, `federated` issuers without their
    scheme."""

    everybody: bool = False
    plain: frozenset[str] = frozenset()
    paths: frozenset[tuple[str, str]] = frozenset()
    ids: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()

    def name(self, one: Principal, *, denies: bool) -> bool:
        """Whether `one` is meant by a statement that `denies` or allows."""
        if one.issuer:
            # Nobody lets in whom others vouch for without naming who does.
            return one.issuer in self.federated or (denies and self.everybody)
        if self.everybody:
            return True
        if one.user_id is None:
            return bool(one.service) and one.service in self.services
        plain = self.plain
        if plain and (one.access_key in plain or one.name in plain or one.user_id in plain):
            return True
        if one.user_id in self.ids:
            return True
        stores = (one.store, one.account)
        if self.paths and any(
            (store, path) in self.paths for store in stores for path in (one.path, one.role_path)
        ):
            return True
        # A store as a whole: denied to all of it, but allowed to nobody whom it does not allow.
        return (denies or one.root) and not self.roots.isdisjoint(stores)


def read_principals(element: Any, *, trust: bool = False) -> Principals:
    """A `Principal` or `NotPrincipal` element; `trust`: of a role's trust policy, which alone may
    name those whom others vouch for. Raises BadPrincipal."""
    found: dict[str, set[Any]] = {name: set() for name in Principals.__slots__}
    for kind, names in _by_kind(element):
        for name in names:
            if not isinstance(name, str) or not name:
                raise BadPrincipal("Invalid principal in policy")
            where, what = _federated(name) if trust and kind == "Federated" else _one(kind, name)
            found[where].add(what)
    if not any(found.values()):
        raise BadPrincipal("Invalid principal in policy")
    everybody = bool(found.pop("everybody"))
    return Principals(everybody, **{where: frozenset(names) for where, names in found.items()})


def _by_kind(element: Any) -> list[tuple[str, list[Any]]]:
    if isinstance(element, dict):
        pairs = list(element.items())
    elif isinstance(element, list | str):
        pairs = [("AWS", element)]
    else:
        raise BadPrincipal("Invalid principal in policy")
    return [(kind, names if isinstance(names, list) else [names]) for kind, names in pairs]


def _federated(name: str) -> tuple[str, Any]:
    found = _ISSUER.fullmatch(name)
    if found is None:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    return "federated", found[1]


def _one(kind: str, name: str) -> tuple[str, Any]:
    """The field of `Principals` that a name goes to, and what stands there."""
    if kind == "CanonicalUser":
        return "ids", name
    if kind == "Service":
        return "services", name
    if kind != "AWS":
        raise BadPrincipal(f"Invalid principal in policy: {kind}")
    if name == "*":
        return "everybody", name
    head = next((one for one in _HEADS if name.startswith(one)), None)
    if head is None:
        # An access key, a user's name or Owner ID.
        if set(name) & set(":*?"):
            raise BadPrincipal(f"Invalid principal in policy: {name}")
        return "roots" if _ACCOUNT.fullmatch(name) else "plain", name
    store, colon, path = name.removeprefix(head).partition(":")
    if store and colon and path == "root":
        return "roots", store
    if not store or not path.startswith(_KINDS) or "*" in path or "?" in path:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    return "paths", (store, path)
