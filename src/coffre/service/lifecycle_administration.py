"""The operations on a bucket's lifecycle that an operator asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coffre.catalog.foresight import Foreseen
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.lifecycle_mutations import DeleteLifecycle, PutLifecycle
from coffre.catalog.lifecycle_rules import LIFECYCLE, unpack_lifecycle
from coffre.catalog.records import Bucket, Trait
from coffre.s3.lifecycle import kept
from coffre.service.administration import Invalid
from coffre.service.named import bucket_named
from coffre.stewards.expirer import released_ms
from coffre.system.clock import Clock
from coffre.wire.lifecycle import RULES, Rule, parse_lifecycle

DAYS_RULE: Final = "coffre-days"
"""The id of the one rule that `set-days` makes and removes."""
_MOST_DAYS: Final = (1 << 31) - 1
_KEYS: Final = 500


def lifecycle_operations(
    reader: Reader, committer: Committer, clock: Clock
) -> Mapping[str, Callable[..., Awaitable[Any]]]:
    """The operations of a node, by name."""
    return LifecycleAdministration(reader, committer, clock).operations


class LifecycleAdministration:
    """What will expire, and a lifecycle's simple form: days for a bucket. All raise Invalid."""

    def __init__(self, reader: Reader, committer: Committer, clock: Clock) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"lifecycle.preview": self.preview, "lifecycle.set_days": self.set_days}

    async def preview(self, bucket: str, store: str | None = None) -> dict[str, Any]:
        """What the rules will do as the bucket stands, by day, rule and act, and when by the
        release clock: how many versions or uploads, of how many bytes. Reads all of the bucket."""
        found = bucket_named(self._reader, bucket, store)
        now_ms = released_ms(self._reader, self._clock)
        number: Counter[tuple[int, str, str, bool, str]] = Counter()
        size: Counter[tuple[int, str, str, bool, str]] = Counter()

        def count(foreseen: list[Foreseen]) -> None:
            for one in foreseen:
                at_ms = max(one.due_ms, now_ms)
                about = (at_ms, one.act, one.rule_id, one.held, one.storage_class)
                number[about] += 1
                size[about] += one.size

        count(self._reader.foreseen_uploads(found))
        after: bytes | None = b""
        while after is not None:
            page, after = self._reader.foreseen(found, now_ms, after=after, limit=_KEYS)
            count(page)
            await asyncio.sleep(0)
        rows = [
            {
                "at_ms": at_ms,
                "act": act,
                "rule": rule,
                "to": to,
                "number": number[at_ms, act, rule, held, to],
                "bytes": size[at_ms, act, rule, held, to],
                "held": held,
            }
            for at_ms, act, rule, held, to in sorted(number)
        ]
        return {"bucket": bucket, "now_ms": now_ms, "judging": _judging(found), "rows": rows}

    async def set_days(self, bucket: str, days: int, store: str | None = None) -> dict[str, Any]:
        """Everything in the bucket expires after so many days; 0: the rule that said so goes, other
        rules stay."""
        if not 0 <= days <= _MOST_DAYS:
            raise Invalid("InvalidArgument", f"days are 0 (for ever) to {_MOST_DAYS}", "days")
        found = bucket_named(self._reader, bucket, store)
        if found.traits & Trait.FILE_SYSTEM:
            raise Invalid(
                "InvalidBucketState", "a bucket with file-system access has no lifecycle", "bucket"
            )
        packed = self._reader.bucket_document(found.id, LIFECYCLE) or b""
        before = unpack_lifecycle(packed) if packed else None
        rules = [] if before is None else [*parse_lifecycle(before.told)]
        rules = [rule for rule in rules if rule.id != DAYS_RULE]
        if days:
            rules.append(Rule(DAYS_RULE, enabled=True, prefix="", days=days))
        if len(rules) > RULES:
            raise Invalid("TooManyRules", f"the bucket has {RULES} rules already", "bucket")
        if not rules:
            await self._committer.commit(DeleteLifecycle(found.id, packed))
        elif before is None:
            await self._committer.commit(PutLifecycle(found.id, kept(rules), packed))
        else:
            changed = kept(rules, before.minimum_size)
            await self._committer.commit(PutLifecycle(found.id, changed, packed))
        return {"bucket": bucket, "days": days, "rules": len(rules)}


def _judging(bucket: Bucket) -> bool:
    """Whether what stood before the rules is yet to be looked at."""
    return bool(bucket.traits & Trait.JUDGING)
