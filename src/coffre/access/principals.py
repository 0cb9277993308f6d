"""Who a policy's statement is about: principals as policies write them, against who asks.

AWS's ARNs (`arn:aws:iam::STORE:user/NAME`), ECS's (`urn:ecs:iam::STORE:user/NAME`), and, as ECS
writes them, plain access keys and names. `*` is everybody, signed or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

_HEADS: Final = ("arn:aws:iam::", "urn:ecs:iam::", "arn:aws:sts::", "urn:ecs:sts::")
_KINDS: Final = ("user/", "role/", "assumed-role/", "federated-user/")


class BadPrincipal(ValueError):
    """What a policy names can be nobody."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user_id` is the Owner ID of S3 answers; None is everybody (not signed).

    What policies know it by: `store` is the name of its store (namespace, account), `path` what an
    ARN says behind that (`user/ann`), `service` the name of a service that acts by itself.
    """

    user_id: str | None
    label: str = ""
    locked: bool = False
    kind: Literal["object", "iam", "role", "service"] = "object"
    store: str = ""
    path: str = ""
    access_key: str = ""
    service: str = ""

    @property
    def name(self) -> str:
        """`aws:username`: an IAM user's name, an object user's access key."""
        return self.path.rpartition("/")[2] if self.kind in ("iam", "role") else self.access_key


ANONYMOUS: Final = Principal(None)


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom an element names, told apart by how: `plain` are access keys, names and Owner IDs,
    `paths` (store, path) of ARNs, `roots` stores as a whole."""

    everybody: bool = False
    plain: frozenset[str] = frozenset()
    paths: frozenset[tuple[str, str]] = frozenset()
    ids: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()

    def name(self, one: Principal, *, denies: bool) -> bool:
        """Whether `one` is meant by a statement that `denies` or allows."""
        if self.everybody:
            return True
        if one.user_id is None:
            return bool(one.service) and one.service in self.services
        plain = self.plain
        if plain and (one.access_key in plain or one.name in plain or one.user_id in plain):
            return True
        if (one.store, one.path) in self.paths or one.user_id in self.ids:
            return True
        # A store as a whole: denied to all of it, but allowed to nobody whom it does not allow.
        return denies and one.store in self.roots


def read_principals(element: Any) -> Principals:
    """A `Principal` or `NotPrincipal` element. Raises BadPrincipal."""
    found: dict[str, set[Any]] = {name: set() for name in Principals.__slots__}
    for kind, names in _by_kind(element):
        for name in names:
            if not isinstance(name, str) or not name:
                raise BadPrincipal("Invalid principal in policy")
            where, what = _one(kind, name)
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
        return "plain", name
    store, colon, path = name.removeprefix(head).partition(":")
    if store and colon and path == "root":
        return "roots", store
    if not store or not path.startswith(_KINDS) or "*" in path or "?" in path:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    return "paths", (store, path)
