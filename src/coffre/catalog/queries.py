"""The reader's statements, whole, so that SQLite prepares each once a connection."""

from __future__ import annotations

_STORE = (
    "SELECT id, name, tenant_id, key_id, created_ms, key_order, dialect, allow_v2, profile,"
    " retention_policies, label, status, settings FROM stores"
)
STORE_BY_ID = _STORE + " WHERE id = ?"
# The zone's own store (`trail_records.SYSTEM_STORE_ID`) is found by its id alone.
_NOT_HIDDEN = "id <> x'00000000000000000000000000000001'"
STORE_BY_NAME = _STORE + " WHERE name = ? AND " + _NOT_HIDDEN
STORES = _STORE + " WHERE " + _NOT_HIDDEN + " ORDER BY name"
ALL_STORES = _STORE + " ORDER BY name"

_TENANT = "SELECT id, name, bucket_limit, buckets FROM tenants"
TENANTS = _TENANT + " ORDER BY name"
TENANT_BY_ID = _TENANT + " WHERE id = ?"
TENANT_BY_NAME = _TENANT + " WHERE name = ?"

STORE_KEY = "SELECT id, root_key_id, wrapped FROM store_keys WHERE id = ?"
STORE_KEYS = "SELECT id, root_key_id, wrapped FROM store_keys WHERE id > ? ORDER BY id LIMIT ?"

_USER = "SELECT id, store_id, label, kind, locked, created_ms, create_buckets FROM users"
USER_BY_ID = _USER + " WHERE id = ?"
USERS_OF_STORE = _USER + " WHERE store_id = ? ORDER BY id"

KEYS_OF_USER = (
    "SELECT access_key, user_id, store_id, created_ms, secrets, active FROM access_keys"
    " WHERE user_id = ? ORDER BY created_ms, access_key"
)
ACCESS_KEYS = (
    "SELECT access_key, user_id, store_id, created_ms, secrets, active FROM access_keys"
    " WHERE access_key > ? ORDER BY access_key LIMIT ?"
)

IDENTITY = (
    "SELECT k.access_key, k.user_id, k.store_id, k.created_ms, k.secrets, k.active,"
    " u.id, u.store_id, u.label, u.kind, u.locked, u.created_ms, u.create_buckets,"
    " s.id, s.name, s.tenant_id, s.key_id, s.created_ms, s.key_order, s.dialect, s.allow_v2,"
    " s.profile, s.retention_policies, s.label, s.status, s.settings"
    " FROM access_keys k JOIN users u ON u.id = k.user_id JOIN stores s ON s.id = k.store_id"
    " WHERE k.access_key = ?"
)

_BUCKET_COLUMNS = (
    "SELECT b.id, b.store_id, b.name, b.owner_id, coalesce(u.label, ''), b.created_ms, b.region,"
    " b.key_order, b.versioning, b.objects, b.bytes, b.traits, b.retention_s"
)
BUCKET_BY_NAME = (
    _BUCKET_COLUMNS + " FROM buckets b LEFT JOIN users u ON u.id = b.owner_id"
    " WHERE b.store_id = ? AND b.name = ?"
)
# A search for each store: what no host names is asked for rarely.
BUCKETS_NAMED = (
    _BUCKET_COLUMNS + " FROM stores s CROSS JOIN buckets b INDEXED BY buckets_by_name"
    " LEFT JOIN users u ON u.id = b.owner_id WHERE b.store_id = s.id AND b.name = ?"
    " AND s." + _NOT_HIDDEN + " LIMIT 2"
)
BUCKETS = (
    _BUCKET_COLUMNS + " FROM buckets b LEFT JOIN users u ON u.id = b.owner_id"
    " WHERE b.store_id = ? AND b.name >= ? AND b.name < ? ORDER BY b.name LIMIT ?"
)
BUCKETS_OF_OWNER = (
    _BUCKET_COLUMNS + " FROM buckets b INDEXED BY buckets_of_owner"
    " LEFT JOIN users u ON u.id = b.owner_id WHERE b.store_id = ? AND b.name >= ? AND b.name < ?"
    " AND b.owner_id = ? ORDER BY b.name LIMIT ?"
)

BUCKETS_BY_ROLE = (
    _BUCKET_COLUMNS + " FROM bucket_roles r INDEXED BY roles_of_user"
    " CROSS JOIN buckets b ON b.id = r.bucket_id LEFT JOIN users u ON u.id = b.owner_id"
    " WHERE r.user_id = ? AND b.store_id = ? AND b.name >= ? AND b.name < ?"
    " ORDER BY b.name LIMIT ?"
)
BUCKET_ROLES = "SELECT user_id, role FROM bucket_roles WHERE bucket_id = ? ORDER BY user_id"
RETIRED_KEY = "SELECT 1 FROM retired_keys WHERE access_key = ?"
STORE_USAGE = (
    "SELECT count(*), coalesce(sum(objects), 0), coalesce(sum(bytes), 0) FROM buckets"
    " WHERE store_id = ?"
)

BUCKET_DOCUMENT = "SELECT document FROM bucket_documents WHERE bucket_id = ? AND kind = ?"
BUCKET_DOCUMENTS = (
    "SELECT kind, document FROM bucket_documents WHERE bucket_id = ? AND kind > ? AND kind < ?"
    " ORDER BY kind LIMIT ?"
)

_VERSION_COLUMNS = (
    "SELECT v.sort_key, v.ord, v.zone, v.version_id, v.marker, v.latest, v.modified_ms, v.size,"
    " v.etag, v.owner_id, coalesce(u.label, ''), v.metadata, v.storage_class, v.checksum,"
    " v.parts_count, v.tags, m.id, m.size, m.blob, m.parts, v.acl, v.encryption, v.ecs,"
    " m.pieces, v.restore, v.lock_mode, v.lock_until_ms, v.legal_hold"
)
_VERSION_OF_KEY = (
    " LEFT JOIN manifests m ON m.id = coalesce(v.restored_id, v.manifest_id)"
    " LEFT JOIN users u ON u.id = v.owner_id WHERE v.bucket_id = ? AND v.sort_key = ?"
)
_VERSION = _VERSION_COLUMNS + " FROM versions v" + _VERSION_OF_KEY
CURRENT_VERSION = _VERSION + " ORDER BY v.ord DESC, v.zone DESC LIMIT 1"
EXACT_VERSION = _VERSION + " AND v.ord = ? AND v.zone = ? AND v.version_id = ?"
OLD_NULL_VERSION = (
    _VERSION_COLUMNS
    + " FROM versions v INDEXED BY old_nulls"
    + _VERSION_OF_KEY
    + " AND v.is_null = 1 AND v.latest = 0"
)

_LISTED = (
    "SELECT sort_key, modified_ms, size, etag, owner_id, storage_class, checksum, restore"
    " FROM versions INDEXED BY current_objects"
    " WHERE bucket_id = ? AND latest = 1 AND marker = 0 AND sort_key >= ?"
)
LIST_FROM = _LISTED + " ORDER BY sort_key"
LIST_BETWEEN = _LISTED + " AND sort_key < ? ORDER BY sort_key"

_LISTED_VERSION = (
    "SELECT sort_key, version_id, latest, marker, modified_ms, size, etag, owner_id, storage_class,"
    " checksum, restore FROM versions WHERE bucket_id = ?"
)
VERSIONS_FROM = _LISTED_VERSION + " AND sort_key >= ? ORDER BY sort_key, ord DESC, zone DESC"
VERSIONS_BETWEEN = (
    _LISTED_VERSION + " AND sort_key >= ? AND sort_key < ? ORDER BY sort_key, ord DESC, zone DESC"
)
OLDER_VERSIONS = (
    _LISTED_VERSION + " AND sort_key = ? AND (ord, zone) < (?, ?) ORDER BY ord DESC, zone DESC"
)

_UPLOAD = (
    "SELECT sort_key, id, bucket_id, initiated_ms, owner_id, metadata, storage_class,"
    " checksum_algorithm, checksum_type, manifest_id, tags, acl, encryption, ecs, lock FROM uploads"
)
UPLOAD_BY_ID = (
    "SELECT p.sort_key, p.id, p.bucket_id, p.initiated_ms, p.owner_id, p.metadata,"
    " p.storage_class, p.checksum_algorithm, p.checksum_type, p.manifest_id, p.tags, p.acl,"
    " p.encryption, p.ecs, p.lock, b.key_order"
    " FROM uploads p JOIN buckets b ON b.id = p.bucket_id WHERE p.id = ?"
)
_UPLOADS = _UPLOAD + " INDEXED BY uploads_in_order WHERE bucket_id = ? AND (sort_key, ord) > (?, ?)"
UPLOADS_FROM = _UPLOADS + " ORDER BY sort_key, ord"
UPLOADS_BETWEEN = _UPLOADS + " AND sort_key < ? ORDER BY sort_key, ord"
UPLOAD_ORDER = "SELECT ord FROM uploads WHERE id = ? AND bucket_id = ? AND sort_key = ?"

_PART = "SELECT number, size, etag, modified_ms, blob, checksum FROM parts"
PARTS_OF_UPLOAD = (
    "SELECT p.number, p.size, p.etag, p.modified_ms, p.blob, p.checksum FROM parts p"
    " JOIN uploads u ON u.manifest_id = p.manifest_id"
    " WHERE u.id = ? AND p.number > ? ORDER BY p.number LIMIT ?"
)
PARTS_OF_MANIFEST = _PART + " WHERE manifest_id = ? AND number BETWEEN ? AND ? ORDER BY number"

_CHUNK = (
    "SELECT id, kind, state, owner, epoch, k, m, members, appended, length, dead, created_ms,"
    " last_sequence, listed FROM chunks"
)
CHUNK_BY_ID = _CHUNK + " WHERE id = ?"
UNSEALED_CHUNKS = _CHUNK + " WHERE state <> 'sealed' ORDER BY id"
CHUNKS_AFTER = _CHUNK + " WHERE id > ? ORDER BY id LIMIT ?"

STRIPED_BLOBS = (
    "SELECT manifest_id, number FROM striped_blobs WHERE chunk_id = ?"
    " AND (manifest_id, number) > (?, ?) ORDER BY manifest_id, number LIMIT ?"
)
BLOB_OF_MANIFEST = "SELECT blob FROM manifests WHERE id = ? AND blob IS NOT NULL"
BLOB_OF_PART = "SELECT blob FROM parts WHERE manifest_id = ? AND number = ?"
WHOLE_BLOBS = (
    "SELECT id, 0, blob FROM manifests WHERE id > ? AND blob IS NOT NULL ORDER BY id LIMIT ?"
)
CURRENT_MANIFESTS = (
    "SELECT versions.sort_key, versions.manifest_id, manifests.blob"
    " FROM versions JOIN manifests ON manifests.id = versions.manifest_id"
    " WHERE versions.bucket_id = ? AND versions.sort_key > ? AND versions.latest = 1"
    " AND versions.marker = 0 ORDER BY versions.sort_key LIMIT ?"
)
PART_BLOBS = (
    "SELECT manifest_id, number, blob FROM parts WHERE (manifest_id, number) > (?, ?)"
    " ORDER BY manifest_id, number LIMIT ?"
)
CHUNKS = _CHUNK + " ORDER BY id"

MANIFEST = "SELECT size, blob, parts, pieces FROM manifests WHERE id = ?"

BUCKETS_AT_WORK = (
    _BUCKET_COLUMNS + " FROM buckets b INDEXED BY buckets_at_work"
    " LEFT JOIN users u ON u.id = b.owner_id WHERE b.traits & 40 <> 0 ORDER BY b.id LIMIT ?"
)
BUCKET_BY_ID = (
    _BUCKET_COLUMNS + " FROM buckets b LEFT JOIN users u ON u.id = b.owner_id WHERE b.id = ?"
)
BUCKETS_INVENTORIED = (
    _BUCKET_COLUMNS + " FROM buckets b INDEXED BY buckets_inventoried"
    " LEFT JOIN users u ON u.id = b.owner_id"
    " WHERE b.traits & 1024 <> 0 AND b.id > ? ORDER BY b.id LIMIT ?"
)
BUCKETS_CAPPED = (
    _BUCKET_COLUMNS + " FROM buckets b INDEXED BY buckets_capped"
    " LEFT JOIN users u ON u.id = b.owner_id WHERE b.traits & 2097152 <> 0 ORDER BY b.id"
)
VERSION_AT = _VERSION + " AND v.ord = ? AND v.zone = ?"
_SEARCH = (
    " WHERE bucket_id = ? AND number = ? AND latest = {latest}"
    " AND (value, sort_key, ord, zone) > (?, ?, ?, ?) AND value < ?"
    " ORDER BY value, sort_key, ord, zone LIMIT ?"
)
_SEARCHED = "SELECT value, sort_key, ord, zone FROM search_values INDEXED BY "
SEARCH_CURRENT = _SEARCHED + "search_current" + _SEARCH.format(latest=1)
SEARCH_OLD = _SEARCHED + "search_old" + _SEARCH.format(latest=0)
SEARCH_VALUES = (
    "SELECT number, value FROM search_values"
    " WHERE bucket_id = ? AND sort_key = ? AND ord = ? AND zone = ?"
)

LABEL = "SELECT label FROM users WHERE id = ?"

HAS_ORPHANS = "SELECT EXISTS (SELECT 1 FROM orphans) OR EXISTS (SELECT 1 FROM orphan_annotations)"
HAS_COMPLETIONS = "SELECT EXISTS (SELECT 1 FROM completions WHERE completed_ms < ?)"
