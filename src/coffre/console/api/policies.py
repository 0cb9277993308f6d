"""The API's rows about bucket policies, the lifecycle's simple form, and the key service."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from coffre.console.api.fields import InBucket, InStore, Key, UserName
from coffre.console.api.route import Access, Route, Rows

Document = Annotated[
    str, Meta(max_length=20_480, description="The policy, as JSON in a text.", examples=["{}"])
]
Action = Annotated[str, Meta(min_length=1, max_length=128, examples=["s3:GetObject"])]
Address = Annotated[str, Meta(max_length=64, examples=["203.0.113.7"])]
Alias = Annotated[
    str, Meta(min_length=1, max_length=256, description="What requests call `alias/NAME`.")
]
KeyName = Annotated[
    str, Meta(min_length=1, max_length=512, description="A key's id, ARN or alias.")
]


class Policy(Struct):
    """A bucket's policy as it was put; null: there is none."""

    bucket: str
    policy: str | None
    public: bool


class PolicyChange(InBucket, kw_only=True):
    policy: Document


class PolicyAsked(InBucket, kw_only=True):
    policy: Document | None


class Rights(Struct):
    """Who may what on what; `conditional`: only under conditions."""

    who: str
    on: str
    conditional: bool
    actions: list[str]


class PolicyDiff(Struct):
    """What rights a policy gives and takes."""

    bucket: str
    gained: list[Rights]
    lost: list[Rights]
    public: bool
    was_public: bool
    warning: str = ""


class Decision(Struct):
    """Whether somebody may use an action, and what decided."""

    who: str
    action: str
    on: str
    decision: str
    by: str
    statement: str | None


class ExplainAsked(InBucket, kw_only=True):
    action: Action
    user: Annotated[UserName, Meta(description="`*`: nobody who signs.")] = "*"
    key: Key | None = None
    source_ip: Address = ""
    secure: bool = False


class SimulationAsked(InBucket, kw_only=True):
    actions: Annotated[list[Action], Meta(max_length=200, description="None: all.")] = []
    user: Annotated[UserName, Meta(description="`*`: nobody who signs.")] = "*"
    key: Key | None = None
    source_ip: Address = ""
    secure: bool = False
    context: Annotated[
        dict[str, str],
        Meta(max_length=50, description="More facts, by condition key."),
    ] = {}


class Preview(Struct):
    """What the lifecycle's rules will do as the bucket stands. `judging`: what stood before the
    rules is yet to be looked at."""

    bucket: str
    now_ms: int
    judging: bool
    rows: list[PreviewRow]


class PreviewRow(Struct):
    """So many versions or uploads of so many bytes, on a day, by a rule. `held`: they are locked;
    `to`: the storage class they go to."""

    at_ms: int
    act: str
    rule: str
    to: str
    number: int
    bytes: int
    held: bool


class DaysAsked(InBucket, kw_only=True):
    days: Annotated[
        int, Meta(ge=0, lt=1 << 31, description="0: for ever. Other rules stay.", examples=[30])
    ]


class Days(Struct):
    """Everything in the bucket expires after so many days (0: never, by this rule)."""

    bucket: str
    days: int
    rules: int


class KmsKey(Struct):
    """A key of the store's key service."""

    id: str
    alias: str
    arn: str
    enabled: bool
    versions: int
    backend: str
    created_ms: int
    rotated_ms: int


class NewKmsKey(InStore, kw_only=True):
    alias: Alias


class KmsKeyAsked(InStore, kw_only=True):
    key: KeyName


_AT: Final = "/stores/{store}/buckets/{bucket}"
_POLICY: Final = f"{_AT}/policy"
_KMS: Final = "/stores/{store}/kms-keys"

POLICIES: Final = (
    Route(
        operation="policy.show",
        method="GET",
        path=_POLICY,
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=Policy,
        summary="A bucket's policy, and whether it is public.",
    ),
    Route(
        operation="policy.set",
        method="PUT",
        path=_POLICY,
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=PolicyChange,
        answer=PolicyDiff,
        edits="policy.show",
        summary="Put a policy; what it changed.",
    ),
    Route(
        operation="policy.remove",
        method="DELETE",
        path=_POLICY,
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=InBucket,
        answer=PolicyDiff,
        summary="The bucket has no policy any more; what that changed.",
    ),
    Route(
        operation="policy.diff",
        method="POST",
        path=f"{_POLICY}/diff",
        access=Access.SCOPED,
        needs="reader",
        scope="buckets:write",
        arguments=PolicyAsked,
        answer=PolicyDiff,
        summary="What a policy (null: none) would change. Nothing is put.",
    ),
    Route(
        operation="policy.explain",
        method="GET",
        path=f"{_POLICY}/decision",
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=ExplainAsked,
        answer=Decision,
        summary="Whether somebody may use an action, and what decides.",
    ),
    Route(
        operation="policy.simulate",
        method="POST",
        path=f"{_POLICY}/simulation",
        access=Access.SCOPED,
        needs="reader",
        scope="buckets:write",
        arguments=SimulationAsked,
        answer=Decision,
        rows=Rows(key=("action",)),
        summary="As the decision of several actions, with facts as a request would bring them.",
    ),
)
LIFECYCLE: Final = (
    Route(
        operation="lifecycle.preview",
        method="GET",
        path=f"{_AT}/lifecycle/preview",
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=Preview,
        summary="What the lifecycle will do, by day, rule and act. Reads all of the bucket.",
    ),
    Route(
        operation="lifecycle.set_days",
        method="PUT",
        path=f"{_AT}/lifecycle/days",
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=DaysAsked,
        answer=Days,
        summary="The lifecycle's simple form: everything expires after so many days; 0: never.",
    ),
)
KMS: Final = (
    Route(
        operation="kms.list",
        method="GET",
        path=_KMS,
        access=Access.TENANT_READER,
        scope="stores:read",
        arguments=InStore,
        answer=KmsKey,
        rows=Rows(key=("alias",)),
        summary="The keys of a store's key service, by alias.",
    ),
    Route(
        operation="kms.create",
        method="POST",
        path=_KMS,
        access=Access.TENANT_OWNER,
        scope="stores:write",
        arguments=NewKmsKey,
        answer=KmsKey,
        status=201,
        summary="A new key.",
    ),
    *(
        Route(
            operation=f"kms.{verb}",
            method="POST",
            path=f"{_KMS}/{verb}",
            access=Access.TENANT_OWNER,
            scope="stores:write",
            arguments=KmsKeyAsked,
            answer=KmsKey,
            summary=summary,
        )
        for verb, summary in (
            ("rotate", "A new version of a key; what is encrypted stays readable."),
            ("disable", "Nothing under a key can be read or written any more."),
            ("enable", "Undo `disable`."),
        )
    ),
)
ROUTES: Final = (*POLICIES, *LIFECYCLE, *KMS)
