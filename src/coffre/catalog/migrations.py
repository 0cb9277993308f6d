"""What each version of the schema adds to the one before it.

A migration is a list of SQL statements that give equal rows on equal rows, whatever the machine: no
clock, no randomness, nothing that depends on the order in which SQLite visits rows. It is a record
of the log (version before and after, SHA-256 of its statements), so a rebuild that meets the record
runs the same statements in the same place. What was released never changes: a later need is a later
migration. Columns are only appended, with a default; tables follow the rules of `schema`.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

FIRST_VERSION = 1


class Migration(Struct, frozen=True):
    """From `version` - 1 to `version`; `tables` are the logged tables that it makes."""

    version: int
    statements: tuple[str, ...]
    tables: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the statements, as the log's record names them."""
        return hashlib.sha256("\0".join(self.statements).encode()).digest()


# Collection. Which blobs have rows in a striped chunk; what a landing chunk holds its own records
# say. `last_sequence` is the last record in a closed landing chunk (0: not known). `listed` says
# that `striped_blobs` names all of a striped chunk: of older ones it does not.
_COLLECTION = Migration(
    2,
    (
        """CREATE TABLE striped_blobs (
            chunk_id BLOB NOT NULL,
            manifest_id BLOB NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (chunk_id, manifest_id, number)
        ) STRICT, WITHOUT ROWID""",
        "ALTER TABLE chunks ADD COLUMN last_sequence INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE chunks ADD COLUMN listed INTEGER NOT NULL DEFAULT 0",
    ),
    ("striped_blobs",),
)

# The S3 interface. `profile` and `retention_policies` (packed: seconds by name) of a store;
# `traits` (`records.Trait`) and `retention_s` of a bucket (-1: for ever); `ecs` is a packed
# `records.EcsFacts`, `pieces` a packed tuple of `records.Piece`. `search_values` holds what a
# bucket indexes of each version: the value of its search key `number`, in an encoding that sorts
# as its type does (`catalog.search_values`).
_S3 = Migration(
    3,
    (
        "ALTER TABLE stores ADD COLUMN profile TEXT NOT NULL DEFAULT 'full'",
        "ALTER TABLE stores ADD COLUMN retention_policies BLOB",
        "ALTER TABLE buckets ADD COLUMN traits INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE buckets ADD COLUMN retention_s INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE versions ADD COLUMN ecs BLOB",
        "ALTER TABLE uploads ADD COLUMN ecs BLOB",
        "ALTER TABLE manifests ADD COLUMN pieces BLOB",
        # Buckets that a steward has work in: those that are emptied or lose their search index.
        "CREATE INDEX buckets_at_work ON buckets (id) WHERE traits & 40 <> 0",
        """CREATE TABLE search_values (
            bucket_id BLOB NOT NULL,
            sort_key BLOB NOT NULL,
            ord INTEGER NOT NULL,
            zone INTEGER NOT NULL,
            number INTEGER NOT NULL,
            latest INTEGER NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (bucket_id, sort_key, ord, zone, number)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX search_current ON search_values"
        " (bucket_id, number, value, sort_key, ord, zone) WHERE latest = 1",
        "CREATE INDEX search_old ON search_values"
        " (bucket_id, number, value, sort_key, ord, zone) WHERE latest = 0",
        # Keys of the key service; `versions` is a packed tuple of `records.KmsVersion`.
        """CREATE TABLE kms_keys (
            store_id BLOB NOT NULL,
            id TEXT NOT NULL,
            alias TEXT NOT NULL,
            backend TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            created_ms INTEGER NOT NULL,
            versions BLOB NOT NULL,
            PRIMARY KEY (store_id, id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX kms_keys_by_alias ON kms_keys (store_id, alias)",
        # Events that wait to be delivered; `event` is a packed `event_mutations.BucketEvent`.
        """CREATE TABLE outbox (
            bucket_id BLOB NOT NULL,
            ord INTEGER NOT NULL,
            zone INTEGER NOT NULL,
            event BLOB NOT NULL,
            PRIMARY KEY (bucket_id, ord, zone)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX buckets_inventoried ON buckets (id) WHERE traits & 1024 <> 0",
        # Texts beside a version, each with a manifest of its own; those of versions that are gone
        # wait to be freed.
        """CREATE TABLE annotations (
            bucket_id BLOB NOT NULL,
            sort_key BLOB NOT NULL,
            ord INTEGER NOT NULL,
            zone INTEGER NOT NULL,
            name TEXT NOT NULL,
            manifest_id BLOB NOT NULL,
            size INTEGER NOT NULL,
            etag TEXT NOT NULL,
            modified_ms INTEGER NOT NULL,
            checksum BLOB NOT NULL,
            PRIMARY KEY (bucket_id, sort_key, ord, zone, name)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE orphan_annotations (
            bucket_id BLOB NOT NULL,
            sort_key BLOB NOT NULL,
            ord INTEGER NOT NULL,
            zone INTEGER NOT NULL,
            PRIMARY KEY (bucket_id, sort_key, ord, zone)
        ) STRICT, WITHOUT ROWID""",
    ),
    ("search_values", "kms_keys", "outbox", "annotations", "orphan_annotations"),
)

# Lifecycle and locks. `noncurrent_ms`: since when a version is not the current one (NULL: it is).
# `due_ms`: from when on a rule of the bucket's lifecycle may act on a version or an upload; never
# later than it really may, NULL for never.
_TIME = Migration(
    4,
    (
        "ALTER TABLE versions ADD COLUMN noncurrent_ms INTEGER",
        "ALTER TABLE versions ADD COLUMN due_ms INTEGER",
        "ALTER TABLE uploads ADD COLUMN due_ms INTEGER",
        "UPDATE versions SET noncurrent_ms = (SELECT newer.modified_ms FROM versions newer"
        " WHERE newer.bucket_id = versions.bucket_id AND newer.sort_key = versions.sort_key"
        " AND (newer.ord, newer.zone) > (versions.ord, versions.zone)"
        " ORDER BY newer.ord, newer.zone LIMIT 1) WHERE latest = 0",
        "CREATE INDEX versions_due ON versions (due_ms) WHERE due_ms IS NOT NULL",
        "CREATE INDEX uploads_due ON uploads (due_ms) WHERE due_ms IS NOT NULL",
        # Buckets whose versions wait to be judged by new rules.
        "CREATE INDEX buckets_judged ON buckets (id) WHERE traits & 128 <> 0",
    ),
)

# Object Lock, archive classes, the clock that is trusted. `release_clock`: one row, what the clock
# that releases locks said at the last group, and at which reading of which boot's clock. From
# `accept_at_ms` on, by itself, it is `accept_ahead_ms` further (NULL, 0: nobody asked for that).
# `clock_changes`: whatever changed it beside the boot clock, in order.
_LOCKS = Migration(
    5,
    (
        # Until when Object Lock keeps a version (`lock_mode`: GOVERNANCE, COMPLIANCE), and whether
        # it is held (NULL: it never was). What an upload asks for is a packed `ObjectLock`.
        "ALTER TABLE versions ADD COLUMN lock_mode TEXT",
        "ALTER TABLE versions ADD COLUMN lock_until_ms INTEGER",
        "ALTER TABLE versions ADD COLUMN legal_hold INTEGER",
        "ALTER TABLE uploads ADD COLUMN lock BLOB",
        # Which locks a bucket still has: only what is locked costs anything.
        "CREATE INDEX versions_retained ON versions (bucket_id, lock_until_ms)"
        " WHERE lock_until_ms IS NOT NULL",
        "CREATE INDEX versions_held ON versions (bucket_id) WHERE legal_hold = 1",
        """CREATE TABLE release_clock (
            id INTEGER NOT NULL PRIMARY KEY,
            trusted_ms INTEGER NOT NULL,
            boot_id TEXT NOT NULL,
            boot_ms INTEGER NOT NULL,
            accept_at_ms INTEGER,
            accept_ahead_ms INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE clock_changes (
            ord INTEGER NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL,
            before_ms INTEGER NOT NULL,
            after_ms INTEGER NOT NULL,
            wall_ms INTEGER NOT NULL,
            why TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX chunks_unsealed ON chunks (id) WHERE state <> 'sealed'",
        # Archived versions: `restore` is a packed `records.Restoration`, `restored_id` the manifest
        # of a copy that can be read; from `archive_due_ms` on something is to be done for them.
        # What is not STANDARD is counted by class, restored copies as RESTORED.
        "ALTER TABLE versions ADD COLUMN restore BLOB",
        "ALTER TABLE versions ADD COLUMN restored_id BLOB",
        "ALTER TABLE versions ADD COLUMN archive_due_ms INTEGER",
        "CREATE INDEX versions_archive_due ON versions (archive_due_ms)"
        " WHERE archive_due_ms IS NOT NULL",
        """CREATE TABLE bucket_classes (
            bucket_id BLOB NOT NULL,
            storage_class TEXT NOT NULL,
            objects INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            PRIMARY KEY (bucket_id, storage_class)
        ) STRICT, WITHOUT ROWID""",
        "INSERT INTO bucket_classes SELECT bucket_id, storage_class, count(*), sum(size)"
        " FROM versions WHERE storage_class <> 'STANDARD' AND marker = 0"
        " GROUP BY bucket_id, storage_class",
    ),
    ("release_clock", "clock_changes", "bucket_classes"),
)

# Tenants, stores, users and their keys, IAM, network rules. `settings` of a store is a packed
# `records.StoreSettings`. `retired_keys`: ids of access keys that are gone and never come again.
_ACCESS = Migration(
    6,
    (
        "ALTER TABLE stores ADD COLUMN label TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE stores ADD COLUMN status TEXT NOT NULL DEFAULT 'active'",
        "ALTER TABLE stores ADD COLUMN settings BLOB",
        "ALTER TABLE users ADD COLUMN create_buckets INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE access_keys ADD COLUMN active INTEGER NOT NULL DEFAULT 1",
        "CREATE INDEX users_by_label ON users (store_id, label)",
        """CREATE TABLE retired_keys (
            access_key TEXT NOT NULL PRIMARY KEY
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE bucket_roles (
            bucket_id BLOB NOT NULL,
            user_id TEXT NOT NULL,
            role TEXT NOT NULL,
            PRIMARY KEY (bucket_id, user_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX roles_of_user ON bucket_roles (user_id, bucket_id)",
        # IAM. A store is an account, its first object user the account's root user. `facts` is a
        # packed `iam_records.IamFacts`; a user's id is that of its row in `users`. Documents are
        # inline policies, and versions of managed ones.
        """CREATE TABLE iam_accounts (
            store_id BLOB NOT NULL PRIMARY KEY,
            root_id TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "INSERT INTO iam_accounts SELECT s.id, (SELECT u.id FROM users u WHERE u.store_id = s.id"
        " AND u.kind = 'object' ORDER BY u.created_ms, u.id LIMIT 1) AS root FROM stores s"
        " WHERE root IS NOT NULL",
        """CREATE TABLE iam_entities (
            store_id BLOB NOT NULL,
            kind TEXT NOT NULL,
            folded TEXT NOT NULL,
            id TEXT NOT NULL,
            name TEXT NOT NULL,
            path TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            facts BLOB NOT NULL,
            PRIMARY KEY (store_id, kind, folded)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX iam_entities_by_id ON iam_entities (id)",
        "INSERT OR IGNORE INTO iam_entities SELECT store_id, 'user', lower(label), id, label, '/',"
        " created_ms, x'90' FROM users WHERE kind = 'iam' ORDER BY id",
        """CREATE TABLE iam_documents (
            entity_id TEXT NOT NULL,
            name TEXT NOT NULL,
            document BLOB NOT NULL,
            created_ms INTEGER NOT NULL,
            PRIMARY KEY (entity_id, name)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE iam_links (
            member_id TEXT NOT NULL,
            relation TEXT NOT NULL,
            target_id TEXT NOT NULL,
            PRIMARY KEY (member_id, relation, target_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX iam_links_by_target ON iam_links (target_id, relation, member_id)",
    ),
    (
        *("retired_keys", "bucket_roles"),
        *("iam_accounts", "iam_entities", "iam_documents", "iam_links"),
    ),
)

# People and how they sign in. `scopes` and `secrets` are packed (`people_records`); sessions of an
# earlier `epoch` are over; `revision` counts changes. `digest`: SHA-256 of a token.
_PEOPLE: tuple[str, ...] = (
    "ALTER TABLE people ADD COLUMN email TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE people ADD COLUMN tenant_id BLOB",
    "ALTER TABLE people ADD COLUMN status TEXT NOT NULL DEFAULT 'active'",
    "ALTER TABLE people ADD COLUMN scopes BLOB",
    "ALTER TABLE people ADD COLUMN secrets BLOB",
    "ALTER TABLE people ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE people ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE api_tokens (
        id BLOB NOT NULL PRIMARY KEY,
        person_id BLOB NOT NULL,
        name TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE,
        scopes BLOB NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX api_tokens_of ON api_tokens (person_id, created_ms)",
)
_PEOPLE_TABLES: tuple[str, ...] = ("api_tokens",)

# What happened: records of the audit until they are packed, and where the packed ones are. A row
# of `audit_batches` is a group's records (`audit_records.AuditBatch`); `audit_chain` is one row,
# the chain's end, which stays when batches are packed.
_AUDIT: tuple[str, ...] = (
    """CREATE TABLE audit_batches (
        sequence INTEGER NOT NULL PRIMARY KEY,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        records INTEGER NOT NULL,
        previous BLOB NOT NULL,
        hash BLOB NOT NULL,
        packed BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE audit_chain (
        id INTEGER NOT NULL PRIMARY KEY,
        sequence INTEGER NOT NULL,
        hash BLOB NOT NULL,
        records INTEGER NOT NULL
    ) STRICT""",
    # `trail_records`: packed records, what retention removed, how far forwarding is.
    """CREATE TABLE audit_segments (
        first_sequence INTEGER NOT NULL PRIMARY KEY,
        last_sequence INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        records INTEGER NOT NULL,
        previous BLOB NOT NULL,
        hash BLOB NOT NULL,
        size INTEGER NOT NULL,
        digest BLOB NOT NULL,
        level INTEGER NOT NULL,
        text_bytes INTEGER NOT NULL,
        names BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE audit_horizon (
        id INTEGER NOT NULL PRIMARY KEY,
        sequence INTEGER NOT NULL,
        hash BLOB NOT NULL,
        records INTEGER NOT NULL,
        removed_ms INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE audit_targets (
        name TEXT NOT NULL PRIMARY KEY,
        sequence INTEGER NOT NULL,
        place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)
_AUDIT_TABLES: tuple[str, ...] = (
    *("audit_batches", "audit_chain", "audit_segments", "audit_horizon", "audit_targets"),
)

# What it costs. `usage_meters`: levels by bucket (or store, for what is asked beside buckets) and
# storage class ("": requests), exact up to `since_ms`; `spans` is a packed tuple of
# `usage_records.Span` (NULL: nobody has looked yet). Of each kind of period those rows that are
# over and in which something happened: the level where it began, what was held (byte-hours, and a
# rest of byte-ms), what happened. `usage_clock`: what ended by `closed_ms` never changes; nothing
# is counted before `floor_ms`, where the release clock was put back from. `usage_scopes`: who
# buckets and stores were that are gone. `usage_prices`: decimal numbers, from a month on.
_PERIOD_COLUMNS = """
            scope_id BLOB NOT NULL,
            storage_class TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            objects INTEGER NOT NULL,
            versions INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            parts INTEGER NOT NULL,
            part_bytes INTEGER NOT NULL,
            byte_hours INTEGER NOT NULL,
            rest INTEGER NOT NULL,
            created INTEGER NOT NULL,
            deleted INTEGER NOT NULL,
            reads INTEGER NOT NULL,
            writes INTEGER NOT NULL,
            lists INTEGER NOT NULL,
            deletes INTEGER NOT NULL,
            bytes_in INTEGER NOT NULL,
            bytes_out INTEGER NOT NULL,
            PRIMARY KEY (scope_id, storage_class, at_ms)
        """
_USAGE: tuple[str, ...] = (
    """CREATE TABLE usage_meters (
            scope_id BLOB NOT NULL,
            storage_class TEXT NOT NULL,
            objects INTEGER NOT NULL,
            versions INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            parts INTEGER NOT NULL,
            part_bytes INTEGER NOT NULL,
            since_ms INTEGER NOT NULL,
            spans BLOB,
            due_ms INTEGER,
            PRIMARY KEY (scope_id, storage_class)
        ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX usage_meters_due ON usage_meters (due_ms) WHERE due_ms IS NOT NULL",
    *(
        f"CREATE TABLE {name} ({_PERIOD_COLUMNS}) STRICT, WITHOUT ROWID"
        for name in ("usage_samples", "usage_hours", "usage_months")
    ),
    """CREATE TABLE usage_clock (
            id INTEGER NOT NULL PRIMARY KEY,
            closed_ms INTEGER NOT NULL DEFAULT 0,
            floor_ms INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE usage_scopes (
            id BLOB NOT NULL PRIMARY KEY,
            store_id BLOB NOT NULL,
            tenant_id BLOB NOT NULL,
            store TEXT NOT NULL,
            bucket TEXT NOT NULL,
            gone_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX usage_scopes_of_store ON usage_scopes (store_id, id)",
    """CREATE TABLE usage_prices (
            zone TEXT NOT NULL,
            kind TEXT NOT NULL,
            month_ms INTEGER NOT NULL,
            price TEXT NOT NULL,
            PRIMARY KEY (zone, kind, month_ms)
        ) STRICT, WITHOUT ROWID""",
    # What stands is metered from the first look at it on.
    "INSERT INTO usage_meters SELECT bucket_id, storage_class, sum(latest = 1 AND marker = 0),"
    " count(*), sum(size), 0, 0, 0, NULL, 0 FROM versions"
    " GROUP BY bucket_id, storage_class",
    "INSERT INTO usage_meters SELECT bucket_id, 'RESTORED', 0, 0, sum(size), 0, 0, 0, NULL, 0"
    " FROM versions WHERE restored_id IS NOT NULL GROUP BY bucket_id",
    "INSERT INTO usage_meters SELECT u.bucket_id, u.storage_class, 0, 0, 0, count(*), sum(p.size),"
    " 0, NULL, 0 FROM uploads u JOIN parts p ON p.manifest_id = u.manifest_id"
    " WHERE true GROUP BY u.bucket_id, u.storage_class"
    " ON CONFLICT (scope_id, storage_class) DO UPDATE SET parts = excluded.parts,"
    " part_bytes = excluded.part_bytes",
    # Buckets with a quota of their own.
    "CREATE INDEX buckets_capped ON buckets (id) WHERE traits & 2097152 <> 0",
)
_USAGE_TABLES: tuple[str, ...] = (
    *("usage_meters", "usage_samples", "usage_hours", "usage_months"),
    *("usage_clock", "usage_scopes", "usage_prices"),
)

_LEDGER = Migration(
    7,
    (*_PEOPLE, *_AUDIT, *_USAGE),
    (*_PEOPLE_TABLES, *_AUDIT_TABLES, *_USAGE_TABLES),
)

MIGRATIONS: tuple[Migration, ...] = (_COLLECTION, _S3, _TIME, _LOCKS, _ACCESS, _LEDGER)

SCHEMA_VERSION = FIRST_VERSION + len(MIGRATIONS)


def migration_to(version: int) -> Migration | None:
    """The migration that leads to a version; None for one that is not known, or the first."""
    return next((one for one in MIGRATIONS if one.version == version), None)
