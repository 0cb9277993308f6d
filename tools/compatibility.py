"""Writes `docs/compatibility.md` from the table of operations and botocore's model of S3:
`python -m tools.compatibility`; with `--count` it prints how many operations are answered.

What an operation's row cannot say of itself stands here, and a test holds it against the model.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Final

import botocore.session

from coffre.s3.ecs_rules import UNSUPPORTED
from coffre.s3.operation import Operation
from coffre.s3.operations import TABLE
from coffre.wire.errors import CATALOGUE
from tools.operation_tests import RESTS_ON

FULL, PARTIAL, NONE, REFUSED = "full", "partial", "none there", "refused"

# Names of botocore's for what another operation's row answers.
SAME: Final = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
# Operations that are not about general-purpose buckets.
ELSEWHERE: Final = {
    "CreateSession": "directory buckets; `501 NotImplemented`",
    "ListDirectoryBuckets": "directory buckets; has an endpoint of its own",
    "RenameObject": "directory buckets; `501 NotImplemented`",
    "WriteGetObjectResponse": "Object Lambda; has an endpoint of its own",
}
NOT_ALL: Final = {
    "CopyObject": "no `aws:kms:dsse`",
    "CreateMultipartUpload": "no `aws:kms:dsse`",
    "PutBucketAbac": "while it is enabled the tags stay as they are: `TagResource` is an operation"
    " of S3 Control, which is another service",
    "PutBucketAccelerateConfiguration": "kept and told; there are no endpoints further away",
    "PutBucketAnalyticsConfiguration": "kept and told; `DataExport` is `501 NotImplemented`",
    "PutBucketEncryption": "`aws:kms:dsse` is `501 NotImplemented`",
    "PutBucketIntelligentTieringConfiguration": "kept and told; nothing is archived",
    "PutBucketMetricsConfiguration": "kept and told",
    "PutObject": "no `aws:kms:dsse`; append (`x-amz-write-offset-bytes`) is"
    " `501 NotImplemented`, as it is for directory buckets alone",
    "PutObjectLockConfiguration": "event holds are `501 NotImplemented`",
    "PutObjectRetention": "event holds are `501 NotImplemented`",
    "RestoreObject": "a query of an archived object (`SELECT`) is `501 NotImplemented`",
    "SelectObjectContent": "Parquet up to 512 MiB",
}
# Handlers that check what they are given, and then refuse it all the same.
NEVER: Final = {"PutBucketReplication": "`501 NotImplemented`"}
# What makes a handler say of itself how it answers.
_MAKERS: Final = {
    "answering": (NONE, "the same in every bucket"),
    "checking": (NONE, "only what every bucket has anyway is taken"),
    "delete_nothing": (NONE, "there is none to delete"),
    "lacking": (NONE, "not found: no bucket has one"),
}

_HEAD: Final = """\
# Compatibility

Every operation of botocore's model of S3, and how it is answered: **full**, as AWS does;
**partial**, with what is missing; **none there**, as AWS answers for a bucket or object that has
none of it; **refused**, with the error. Generated from the table of operations and the model by
`python -m tools.compatibility`; `make compat` counts, and counts no answer that no test holds. The
test in `tests/protocol` that an answer rests on is named; the last column marks what the profile
`spec` refuses. The dialects `aws` and `ecs` differ within operations, as [dialects](dialects.md)
says.
"""


_TAIL: Final = """
## Where the published walk-through of Object Lock differs

- It says that a locked version that is deleted by its id "becomes" a delete marker. Here, as on
  AWS, that is `403 AccessDenied`, and the version stays as it is.
- It bypasses governance to delete a marker. A marker is never locked: it is deleted by its id
  without a bypass, with one too.
- With the bypass, and the permission for it, a version under governance goes; the listing is empty
  in the end, as it says.
- It has a bucket locked when it is made, and not later. That is so in the `ecs` dialect; in `aws` a
  bucket with versioning gets a lock later too, as on AWS today.
"""


def state(name: str) -> tuple[str, str]:
    """How an operation is answered, and what there is to say of it."""
    row = _ROWS.get(SAME.get(name, name))
    if name in ELSEWHERE:
        return REFUSED, ELSEWHERE[name]
    if name in NEVER:
        return REFUSED, NEVER[name]
    if row is None:
        return REFUSED, "`501 NotImplemented`"
    maker = row.handler.__qualname__.partition(".")[0]
    if maker == "_refusing":
        return REFUSED, f"`{_refusal(row)}`"
    if maker in _MAKERS:
        return _MAKERS[maker]
    said = NOT_ALL.get(name, "")
    return (PARTIAL if said else FULL), said


def _refusal(row: Operation) -> str:
    """The status and code that a refusing handler was made with."""
    cells = dict(zip(row.handler.__code__.co_freevars, row.handler.__closure__ or (), strict=True))
    code = str(cells["code"].cell_contents)
    return f"{CATALOGUE[code][0]} {code}"


_ROWS: Final = {row.name: row for row in TABLE}


def names() -> list[str]:
    """Every operation of the model."""
    model = botocore.session.get_session().get_service_model("s3")
    return sorted(model.operation_names)


def count() -> str:
    """How many operations that are about general-purpose buckets are answered in each way."""
    about = [name for name in names() if name not in ELSEWHERE]
    by = Counter(state(name)[0] for name in about)
    ways = ", ".join(f"{by[way]} {way}" for way in (FULL, PARTIAL, NONE, REFUSED))
    held = sum(state(name)[0] != REFUSED and name in RESTS_ON for name in about)
    return (
        f"of {len(about)} operations about general-purpose buckets: {ways}; as AWS does, but for"
        f" what is named, {held}"
    )


def page() -> str:
    """The page."""
    lines = [_HEAD, f"Now, {count()}.", "", "| operation | answered | | test | profile `spec` |"]
    lines.append("|---|---|---|---|---|")
    for name in names():
        way, said = state(name)
        row = _ROWS.get(SAME.get(name, name))
        spec = "501" if row is not None and _unsupported(row) else ""
        test = "" if way == REFUSED else f"`{RESTS_ON.get(name, '')}`"
        lines.append(f"| {name} | {way} | {said} | {test} | {spec} |")
    return "\n".join([*lines, _TAIL])


def _unsupported(row: Operation) -> bool:
    return (row.target, row.method, row.selector.sub_resource) in UNSUPPORTED


if __name__ == "__main__":
    sys.stdout.write(f"{count()}\n" if "--count" in sys.argv else page())
