"""Values of the management API: bucket documents. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Versioning(Struct, kw_only=True):
    """Whether overwritten and deleted objects are kept as versions. It cannot be taken back to
    never, and not be suspended in a bucket with Object Lock."""

    status: Literal["Enabled", "Suspended"] | None = None


class Tag(Struct, kw_only=True):
    """A tag."""

    key: str
    value: str = ""


class Tags(Struct, kw_only=True):
    """All tags: at most 50 of a bucket, 10 of an object. They take the place of those before."""

    tags: list[Tag] = []


class CorsRule(Struct, kw_only=True):
    """Which pages of other sites may call the bucket from a browser, and how."""

    allowed_origins: list[str]
    allowed_methods: list[Literal["DELETE", "GET", "HEAD", "POST", "PUT"]]
    allowed_headers: list[str] = []
    expose_headers: list[str] = []
    max_age_seconds: int | None = None
    id: str | None = None


class Cors(Struct, kw_only=True):
    """The CORS rules of a bucket; none: no page of another site."""

    rules: list[CorsRule] = []


class Encryption(Struct, kw_only=True):
    """How new objects are encrypted that do not say it themselves. They always are: AES256 is what
    holds where nothing is said."""

    algorithm: Literal["AES256", "aws:kms"] = "AES256"
    kms_key: str | None = None
    bucket_key: bool | None = None


class PublicAccess(Struct, kw_only=True):
    """What public access the bucket refuses, whatever ACLs and policies say."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


class ObjectOwnership(Struct, kw_only=True):
    """Who owns what others put into the bucket, and whether ACLs count."""

    ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] = (
        "ObjectWriter"
    )


class RedirectAll(Struct, kw_only=True):
    """Where every request of a website goes."""

    host_name: str
    protocol: Literal["http", "https"] | None = None


class Redirect(Struct, kw_only=True):
    """Where a rule sends to."""

    host_name: str | None = None
    http_redirect_code: str | None = None
    protocol: Literal["http", "https"] | None = None
    replace_key_prefix_with: str | None = None
    replace_key_with: str | None = None


class RoutingCondition(Struct, kw_only=True):
    """When a rule applies."""

    key_prefix_equals: str | None = None
    http_error_code_returned_equals: str | None = None


class RoutingRule(Struct, kw_only=True):
    """A redirection of some of a website's requests."""

    redirect: Redirect
    condition: RoutingCondition | None = None


class Website(Struct, kw_only=True):
    """The bucket as a static website: an index, or one redirection of everything."""

    index: str | None = None
    error: str | None = None
    redirect_all: RedirectAll | None = None
    routing_rules: list[RoutingRule] = []


class Logging(Struct, kw_only=True):
    """Where the bucket's access log goes; a null bucket: it is not logged."""

    target_bucket: str | None = None
    target_prefix: str | None = None


class LockDefault(Struct, kw_only=True):
    """Object Lock of a bucket, and how long new objects are locked that do not say it themselves:
    days or years, or neither for no default."""

    enabled: Literal["Enabled"] | None = "Enabled"
    mode: Literal["COMPLIANCE", "GOVERNANCE"] | None = None
    days: int | None = None
    years: int | None = None


class FilterRule(Struct, kw_only=True):
    """Keys that begin or end so."""

    name: Literal["prefix", "suffix"]
    value: str


class Notification(Struct, kw_only=True):
    """Who is told of which changes: `destination` is the ARN of one that the operator named."""

    destination: str
    events: list[str]
    id: str | None = None
    filters: list[FilterRule] = []


class TopicNotification(Struct, kw_only=True):
    """As `Notification`, of a topic."""

    destination: str
    events: list[str]
    id: str | None = None
    filters: list[FilterRule] = []


class Notifications(Struct, kw_only=True):
    """All notifications of a bucket."""

    queues: list[Notification] = []
    topics: list[TopicNotification] = []


class Inventory(Struct, kw_only=True):
    """A list of the bucket's objects that is made regularly."""

    id: str
    enabled: bool
    frequency: str
    destination: str
    format: str
    prefix: str | None = None


class Inventories(Struct, kw_only=True):
    """All inventories of a bucket."""

    items: list[Inventory] = []
