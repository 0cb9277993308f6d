"""Operations that the console answers itself, for it alone knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from coffre.console.api.accounting import accounting_operations
from coffre.console.api.activities import Activities
from coffre.console.api.bucket_settings import setting_operations
from coffre.console.api.buckets import bucket_operations
from coffre.console.api.object_operations import object_operations
from coffre.console.api.route import Arguments, Own
from coffre.console.api.stores import store_operations
from coffre.console.data import Data
from coffre.console.parts import Parts
from coffre.console.signed import Signed


def own_operations(parts: Parts, data: Data, activities: Activities) -> Mapping[str, Own]:
    """By name."""

    async def list_activities(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(activities.list(signed))

    async def show_activity(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(activities.show(signed, arguments["id"]))

    return {
        "activity.list": list_activities,
        "activity.show": show_activity,
        **accounting_operations(parts),
        **bucket_operations(parts),
        **setting_operations(data),
        **store_operations(parts),
        **object_operations(parts, data),
    }
