"""The S3 service of a process: the gateway over a reader, a committer and a vault."""

from __future__ import annotations

from collections.abc import Callable

from coffre.access.networks import read_networks
from coffre.catalog.interface import Committer, Reader
from coffre.config import Settings
from coffre.iam.call import Iam, unknown
from coffre.iam.sessions import Sessions
from coffre.s3.auditing import Audit
from coffre.s3.caps import UNCOUNTED, Account
from coffre.s3.fairness import Fairness
from coffre.s3.gateway import Gateway
from coffre.s3.keyring import Keyring
from coffre.s3.services import (
    UNWATCHED,
    AccessLog,
    Gate,
    KeyUse,
    Ledger,
    OpenRequests,
    Services,
    open_gate,
    unnoted,
)
from coffre.s3.settings import Patience
from coffre.s3.settings import Settings as S3Settings
from coffre.service.key_services import key_service
from coffre.service.oidc import OidcTokens
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.interface import Vault
from coffre.vault.keys import RootKeys


def s3_gateway(
    settings: Settings,
    *,
    reader: Reader,
    committer: Committer,
    vault: Vault,
    root_keys: RootKeys,
    clock: Clock,
    entropy: Entropy,
    zone: int,
    admit: Gate = open_gate,
    requests: OpenRequests = UNWATCHED,
    access_log: AccessLog | None = None,
    caps: Account = UNCOUNTED,
    used: KeyUse = unnoted,
    key_last_used: Callable[[str], int | None] = unknown,
    audit: Audit | None = None,
    ledger: Ledger | None = None,
) -> Gateway:
    """The ASGI application of the S3 port."""
    keyring = Keyring(root_keys)
    return Gateway(
        Services(
            reader=reader,
            committer=committer,
            vault=vault,
            keyring=keyring,
            keys=key_service(settings, reader, committer, keyring, entropy),
            clock=clock,
            entropy=entropy,
            settings=S3Settings(
                region=settings.region,
                base_hosts=settings.bases,
                default_store=settings.default_store,
                website_bases=settings.website_bases,
                destinations=frozenset((one.name, one.kind) for one in settings.notify),
                zone=zone,
                patience=Patience(idle_s=settings.body_timeout),
                sse_c_over_http=settings.sse_c_over_http,
                restore_delays={
                    "Expedited": settings.restore_expedited,
                    "Standard": settings.restore_standard,
                    "Bulk": settings.restore_bulk,
                },
                private_networks=read_networks(settings.private_networks),
            ),
            iam=Iam(
                reader,
                committer,
                keyring,
                Sessions(root_keys, entropy),
                entropy,
                OidcTokens(settings.oidc, clock),
                key_last_used,
            ),
            ledger=ledger,
            admit=admit,
            requests=requests,
            access_log=access_log,
            fairness=Fairness(settings.queued_bytes),
            caps=caps,
            used=used,
            audit=audit,
        )
    )
