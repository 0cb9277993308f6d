"""Who a policy's statement is about: principals as policies write them, against who asks.

AWS's ARNs (`arn:aws:iam::STORE:user/NAME`), ECS's (`urn:ecs:iam::STORE:user/NAME`), and, as ECS
writes them, plain access keys and names. `*` is everybody, signed or not.
"""

from __future__ import annotations

from collections.abc import Callable
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
# Says whether a principal is meant; asked also whether the statement denies.
PrincipalTest = Callable[[Principal, bool], bool]


def compile_principals(element: Any) -> PrincipalTest:
    """The test of a `Principal` or `NotPrincipal` element. Raises BadPrincipal."""
    if element == "*":
        return _everybody
    tests: list[PrincipalTest] = []
    for kind, names in _by_kind(element):
        for name in names:
            tests.append(_one(kind, name))
    if not tests:
        raise BadPrincipal("Invalid principal in policy")
    if _everybody in tests:
        return _everybody
    return lambda caller, denies: any(test(caller, denies) for test in tests)


def is_everybody(test: PrincipalTest) -> bool:
    """Whether a compiled element means everybody."""
    return test is _everybody


def _by_kind(element: Any) -> list[tuple[str, list[Any]]]:
    if isinstance(element, dict):
        pairs = list(element.items())
    elif isinstance(element, list | str):
        pairs = [("AWS", element)]
    else:
        raise BadPrincipal("Invalid principal in policy")
    return [(kind, names if isinstance(names, list) else [names]) for kind, names in pairs]


def _one(kind: str, name: Any) -> PrincipalTest:
    if not isinstance(name, str) or not name:
        raise BadPrincipal("Invalid principal in policy")
    if kind == "CanonicalUser":
        return lambda caller, denies: caller.user_id == name
    if kind == "Service":
        return lambda caller, denies: caller.service == name
    if kind != "AWS":
        raise BadPrincipal(f"Invalid principal in policy: {kind}")
    if name == "*":
        return _everybody
    head = next((one for one in _HEADS if name.startswith(one)), None)
    if head is None:
        return _plain(name)
    store, colon, path = name.removeprefix(head).partition(":")
    if not store or not colon:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    if path == "root":
        # A store as a whole: denied to all of it, but allowed to nobody whom it does not allow.
        return lambda caller, denies: denies and caller.store == store
    if not path.startswith(_KINDS) or "*" in path or "?" in path:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    return lambda caller, denies: caller.store == store and caller.path == path


def _plain(name: str) -> PrincipalTest:
    """An access key, a user's name or Owner ID. A store's name beside it would be an ARN."""
    if ":" in name or "*" in name or "?" in name:
        raise BadPrincipal(f"Invalid principal in policy: {name}")
    return lambda caller, denies: (
        caller.user_id is not None and name in (caller.access_key, caller.name, caller.user_id)
    )


def _everybody(caller: Principal, denies: bool) -> bool:
    return True
