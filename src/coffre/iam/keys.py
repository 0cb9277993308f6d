"""Access keys of IAM users, and of whoever asks about their own."""

from __future__ import annotations

from coffre.catalog.access_mutations import AddKey, DeleteKey, SetKey
from coffre.catalog.records import User
from coffre.iam.call import Call, Result
from coffre.iam.credentials import new_access_key, new_secret
from coffre.wire.query_protocol import QueryError, iso


async def create_access_key(call: Call) -> Result:
    """CreateAccessKey: the secret is told this once."""
    user = _user(call)
    access_key, secret = new_access_key(call.iam.entropy), new_secret(call.iam.entropy)
    await call.commit(AddKey(user.id, access_key, call.iam.keyring.wrap_secret(secret)))
    return {
        "AccessKey": {
            "UserName": user.label,
            "AccessKeyId": access_key,
            "Status": "Active",
            "SecretAccessKey": secret,
            "CreateDate": iso(call.now_ms),
        }
    }


async def list_access_keys(call: Call) -> Result:
    """ListAccessKeys."""
    user = _user(call)
    keys = sorted(call.reader.keys(user.id), key=lambda one: one.access_key.lower())
    page, told = call.page(keys, lambda one: one.access_key)
    shown = [
        {
            "UserName": user.label,
            "AccessKeyId": one.access_key,
            "Status": "Active" if one.active else "Inactive",
            "CreateDate": iso(one.created_ms),
        }
        for one in page
    ]
    return {"AccessKeyMetadata": shown, **(told or {})}


async def update_access_key(call: Call) -> Result:
    """UpdateAccessKey."""
    active = call.parameters.text("Status") == "Active"
    await call.commit(SetKey(_key(call), active))
    return None


async def delete_access_key(call: Call) -> Result:
    """DeleteAccessKey."""
    await call.commit(DeleteKey(_key(call)))
    return None


async def get_access_key_last_used(call: Call) -> Result:
    """GetAccessKeyLastUsed."""
    access_key = call.parameters.text("AccessKeyId")
    found = call.reader.identity(access_key)
    if found is None or found.store.id != call.store.id:
        # One of another account is none, as far as anybody here is told.
        raise QueryError("AccessDenied", f"The Access Key {access_key} is none of this account.")
    used_ms = call.iam.last_used(access_key)
    told = "N/A" if used_ms is None else "s3"
    return {
        "UserName": found.user.label,
        "AccessKeyLastUsed": {
            "LastUsedDate": None if used_ms is None else iso(used_ms),
            "ServiceName": told,
            "Region": "N/A",
        },
    }


def _user(call: Call) -> User:
    """The user of `UserName`; without it, whoever asks."""
    if "UserName" in call.parameters.names:
        user_id = call.find("user").id
    elif call.principal.kind == "role":
        raise QueryError(
            "ValidationError", "Must specify userName when calling with non-User credentials"
        )
    else:
        user_id = call.principal.user_id or ""
    found = call.reader.user(user_id)
    if found is None:
        raise QueryError("NoSuchEntity", "The user cannot be found.")
    return found


def _key(call: Call) -> str:
    """`AccessKeyId`, which must be one of that user's."""
    user, access_key = _user(call), call.parameters.text("AccessKeyId")
    if access_key not in {one.access_key for one in call.reader.keys(user.id)}:
        message = f"The Access Key with id {access_key} cannot be found."
        raise QueryError("NoSuchEntity", message)
    return access_key
