"""The configurations of a bucket as the management API says them; S3's documents are made of them.

Sources: the AWS API reference of each Put… operation. What a value may be is decided by the S3
service alone, whose answer names what is wrong.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from coffre.console.api.xml_values import named

Days = Annotated[int, Meta(ge=1, le=36500, description="Days.", examples=[30])]


class Versioning(Struct, forbid_unknown_fields=True):
    """Whether overwritten and deleted objects are kept as versions. It cannot be taken back to
    never, and not be suspended in a bucket with Object Lock."""

    status: Annotated[
        Literal["Enabled", "Suspended"] | None,
        Meta(description="Null: never enabled.", examples=["Enabled"]),
    ] = None


class Tag(Struct, forbid_unknown_fields=True):
    """A tag."""

    key: Annotated[str, Meta(min_length=1, max_length=128, examples=["project"])]
    value: Annotated[str, Meta(max_length=256, examples=["apollo"])] = ""


class Tags(Struct, forbid_unknown_fields=True):
    """All tags: at most 50 of a bucket, 10 of an object. They take the place of those before."""

    tags: Annotated[list[Tag], Meta(max_length=50), named("TagSet/Tag")] = []


class CorsRule(Struct, forbid_unknown_fields=True):
    """Which pages of other sites may call the bucket from a browser, and how."""

    allowed_origins: Annotated[
        list[str],
        Meta(min_length=1, description="With at most one `*` each.", examples=[["https://a.fr"]]),
        named("AllowedOrigin"),
    ]
    allowed_methods: Annotated[
        list[Literal["GET", "PUT", "POST", "DELETE", "HEAD"]],
        Meta(min_length=1),
        named("AllowedMethod"),
    ]
    allowed_headers: Annotated[list[str], named("AllowedHeader")] = []
    expose_headers: Annotated[list[str], named("ExposeHeader")] = []
    max_age_seconds: Annotated[
        int | None, Meta(description="How long a browser keeps the answer.")
    ] = None
    id: Annotated[Annotated[str, Meta(max_length=255)] | None, named("ID")] = None


class Cors(Struct, forbid_unknown_fields=True):
    """The CORS rules of a bucket; none: no page of another site."""

    rules: Annotated[list[CorsRule], Meta(max_length=100), named("CORSRule")] = []


class Encryption(Struct, forbid_unknown_fields=True):
    """How new objects are encrypted that do not say it themselves. They always are: AES256 is what
    holds where nothing is said."""

    algorithm: Annotated[
        Literal["AES256", "aws:kms"],
        Meta(description="AES256 (SSE-S3), or aws:kms (SSE-KMS)."),
        named("Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm"),
    ] = "AES256"
    kms_key: Annotated[
        str | None,
        Meta(description="With aws:kms: id, ARN or alias/NAME; null: the store's own."),
        named("Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID"),
    ] = None
    bucket_key: Annotated[
        bool | None, Meta(description="One key for many objects."), named("Rule/BucketKeyEnabled")
    ] = None


class PublicAccess(Struct, forbid_unknown_fields=True):
    """What public access the bucket refuses, whatever ACLs and policies say."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


class ObjectOwnership(Struct, forbid_unknown_fields=True):
    """Who owns what others put into the bucket, and whether ACLs count."""

    ownership: Annotated[
        Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
        Meta(description="BucketOwnerEnforced: ACLs do not count at all."),
        named("Rule/ObjectOwnership"),
    ] = "ObjectWriter"


class RedirectAll(Struct, forbid_unknown_fields=True):
    """Where every request of a website goes."""

    host_name: Annotated[str, Meta(min_length=1, examples=["www.example.org"])]
    protocol: Literal["http", "https"] | None = None


class RoutingCondition(Struct, forbid_unknown_fields=True):
    """When a rule applies."""

    key_prefix_equals: str | None = None
    http_error_code_returned_equals: str | None = None


class Redirect(Struct, forbid_unknown_fields=True):
    """Where a rule sends to."""

    host_name: str | None = None
    http_redirect_code: str | None = None
    protocol: Literal["http", "https"] | None = None
    replace_key_prefix_with: str | None = None
    replace_key_with: str | None = None


class RoutingRule(Struct, forbid_unknown_fields=True):
    """A redirection of some of a website's requests."""

    redirect: Redirect
    condition: RoutingCondition | None = None


class Website(Struct, forbid_unknown_fields=True):
    """The bucket as a static website: an index, or one redirection of everything."""

    index: Annotated[str | None, Meta(examples=["index.html"]), named("IndexDocument/Suffix")] = (
        None
    )
    error: Annotated[str | None, Meta(examples=["404.html"]), named("ErrorDocument/Key")] = None
    redirect_all: Annotated[RedirectAll | None, named("RedirectAllRequestsTo")] = None
    routing_rules: Annotated[list[RoutingRule], named("RoutingRules/RoutingRule")] = []


class Logging(Struct, forbid_unknown_fields=True):
    """Where the bucket's access log goes; a null bucket: it is not logged."""

    target_bucket: Annotated[str | None, named("LoggingEnabled/TargetBucket")] = None
    target_prefix: Annotated[str | None, named("LoggingEnabled/TargetPrefix")] = None


class LockDefault(Struct, forbid_unknown_fields=True):
    """Object Lock of a bucket, and how long new objects are locked that do not say it themselves:
    days or years, or neither for no default."""

    enabled: Annotated[Literal["Enabled"] | None, named("ObjectLockEnabled")] = "Enabled"
    mode: Annotated[
        Literal["GOVERNANCE", "COMPLIANCE"] | None, named("Rule/DefaultRetention/Mode")
    ] = None
    days: Annotated[Days | None, named("Rule/DefaultRetention/Days")] = None
    years: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None, named("Rule/DefaultRetention/Years")
    ] = None


class FilterRule(Struct, forbid_unknown_fields=True):
    """Keys that begin or end so."""

    name: Annotated[Literal["prefix", "suffix"], Meta(examples=["prefix"])]
    value: str


class Notification(Struct, forbid_unknown_fields=True):
    """Who is told of which changes: `destination` is the ARN of one that the operator named."""

    destination: Annotated[str, named("Queue")]
    events: Annotated[
        list[str], Meta(min_length=1, examples=[["s3:ObjectCreated:*"]]), named("Event")
    ]
    id: str | None = None
    filters: Annotated[list[FilterRule], named("Filter/S3Key/FilterRule")] = []


class TopicNotification(Notification, forbid_unknown_fields=True):
    """As `Notification`, of a topic."""

    destination: Annotated[str, named("Topic")]


class Notifications(Struct, forbid_unknown_fields=True):
    """All notifications of a bucket."""

    queues: Annotated[list[Notification], named("QueueConfiguration")] = []
    topics: Annotated[list[TopicNotification], named("TopicConfiguration")] = []


class Inventory(Struct):
    """A list of the bucket's objects that is made regularly."""

    id: str
    enabled: Annotated[bool, named("IsEnabled")]
    frequency: Annotated[str, named("Schedule/Frequency")]
    destination: Annotated[str, named("Destination/S3BucketDestination/Bucket")]
    format: Annotated[str, named("Destination/S3BucketDestination/Format")]
    prefix: Annotated[str | None, named("Filter/Prefix")] = None


class Inventories(Struct):
    """All inventories of a bucket."""

    items: Annotated[list[Inventory], named("InventoryConfiguration")] = []
