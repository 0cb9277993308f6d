"""A person's own operations, as the table calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from coffre.catalog.interface import Reader
from coffre.console.account import Account
from coffre.console.api.problem import Problem
from coffre.console.api.route import Arguments, Own
from coffre.console.api.session import me_of
from coffre.console.sessions import ConsoleSessions
from coffre.console.signed import Signed


def account_operations(
    reader: Reader, sessions: ConsoleSessions, account: Account
) -> Mapping[str, Own]:
    """By name."""

    async def show(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(me_of(reader, signed))

    async def list_sessions(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(sessions.list(signed))

    async def end_session(signed: Signed, arguments: Arguments) -> Any:
        if not sessions.end_one(signed, arguments["id"]):
            raise Problem("NoSuchSession", "there is no such session", "id")

    async def enrol(signed: Signed, arguments: Arguments) -> Any:
        return msgspec.to_builtins(account.enrol(signed))

    async def renew_recovery(signed: Signed, arguments: Arguments) -> Any:
        return {"recovery_codes": list(await account.renew_recovery(signed))}

    async def list_tokens(signed: Signed, arguments: Arguments) -> Any:
        return await account.tokens(signed)

    async def create_token(signed: Signed, arguments: Arguments) -> Any:
        return await account.create_token(signed, arguments)

    async def delete_token(signed: Signed, arguments: Arguments) -> Any:
        await account.delete_token(signed, arguments["token"])

    return {
        "me.show": show,
        "me.session.list": list_sessions,
        "me.session.end": end_session,
        "me.codes.enrol": enrol,
        "me.recovery.renew": renew_recovery,
        "me.token.list": list_tokens,
        "me.token.create": create_token,
        "me.token.delete": delete_token,
    }
