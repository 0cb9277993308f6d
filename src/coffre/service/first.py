"""The first tenant, operator, store and user of a new region."""

from __future__ import annotations

import os

from coffre.access.caller import Caller
from coffre.catalog.interface import Reader
from coffre.catalog.mutations import CreateTenant
from coffre.catalog.people_mutations import CreatePerson
from coffre.config import Settings
from coffre.iam.passwords import hash_password, new_password
from coffre.service.administration import Administration
from coffre.service.announcement import FIRST_STORE, OPERATOR, FirstKeys, Owner
from coffre.service.node import Node
from coffre.service.store_administration import DEFAULT_TENANT
from coffre.system.entropy import new_id


async def populate(
    administration: Administration, node: Node, settings: Settings
) -> tuple[Owner, FirstKeys]:
    """Make them. The secrets are in the answer only."""
    committer, entropy = node.committer, node.entropy
    zone, now_ms = node.zone_number, node.clock.now_ms()
    await committer.commit(
        CreateTenant(new_id(entropy, zone, now_ms), DEFAULT_TENANT, settings.bucket_limit)
    )
    password = new_password(entropy)
    await committer.commit(
        CreatePerson(
            id=new_id(entropy, zone, now_ms),
            name=OPERATOR,
            role="operator",
            password_hash=hash_password(password, entropy),
        )
    )
    maker = Caller(f"cli:uid-{os.getuid()}", "cli")
    user = await administration.call("store.create", {"name": FIRST_STORE}, maker)
    assert isinstance(user, dict)
    owner = Owner(FIRST_STORE, user["id"], user["label"], user["access_key"])
    return owner, FirstKeys(user["secret_key"], password)


def first_owner(reader: Reader) -> Owner | None:
    """The oldest user of the oldest store that has one: whom the ready line names later."""
    for store in sorted(reader.stores(), key=lambda one: one.created_ms):
        users = sorted(reader.users(store.id), key=lambda one: one.created_ms)
        if users:
            keys = reader.keys(users[0].id)
            access_key = keys[0].access_key if keys else ""
            return Owner(store.name, users[0].id, users[0].label, access_key)
    return None
