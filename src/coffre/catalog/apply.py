"""One step of the catalog: (rows, mutation, stamp) -> rows, and nothing else.

It reads no clock and no randomness, so a mutation applied twice to equal rows makes equal rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
from msgspec.structs import replace

from coffre.catalog import (
    access_mutations,
    annotation_mutations,
    annotation_rows,
    apply_access,
    apply_annotations,
    apply_archive,
    apply_audit,
    apply_chunks,
    apply_clock,
    apply_collection,
    apply_emptying,
    apply_encryption,
    apply_events,
    apply_expiry,
    apply_iam,
    apply_kms,
    apply_lock,
    apply_objects,
    apply_people,
    apply_search,
    apply_stores,
    apply_trail,
    apply_uploads,
    apply_usage,
    archive_mutations,
    audit_mutations,
    clock_mutations,
    ecs_mutations,
    event_mutations,
    iam_mutations,
    kms_mutations,
    lifecycle_mutations,
    lock_mutations,
    mutations,
    people_mutations,
    trail_mutations,
    usage_mutations,
)
from coffre.catalog.event_mutations import Caused
from coffre.catalog.mutations import WITH_BLOB, MoveBlob, Mutation, Refusal, Result
from coffre.catalog.stamp import Stamp
from coffre.catalog.tally import Tally
from coffre.vault.records import Extent

_STEPS: dict[type, Callable[[apsw.Connection, Any, Stamp], Result]] = {
    mutations.CreateUpload: apply_uploads.create_upload,
    mutations.ForgetCompletions: apply_uploads.forget_completions,
    mutations.CreateTenant: apply_stores.create_tenant,
    people_mutations.CreatePerson: apply_people.create_person,
    people_mutations.PutPerson: apply_people.put_person,
    people_mutations.DeletePerson: apply_people.delete_person,
    people_mutations.PutToken: apply_people.put_token,
    people_mutations.DeleteToken: apply_people.delete_token,
    mutations.CreateStore: apply_stores.create_store,
    ecs_mutations.SetStore: apply_stores.set_store,
    ecs_mutations.SetTraits: apply_stores.set_traits,
    ecs_mutations.RemoveSearch: apply_search.remove_search,
    access_mutations.ChangeTenant: apply_access.change_tenant,
    access_mutations.ChangeStore: apply_access.change_store,
    access_mutations.DeleteStore: apply_access.delete_store,
    access_mutations.ChangeUser: apply_access.change_user,
    access_mutations.DeleteUser: apply_access.delete_user,
    access_mutations.AddKey: apply_access.add_key,
    access_mutations.ReplaceKey: apply_access.replace_key,
    access_mutations.SetKey: apply_access.set_key,
    access_mutations.DeleteKey: apply_access.delete_key,
    access_mutations.EndGrace: apply_access.end_grace,
    access_mutations.SetRole: apply_access.set_role,
    mutations.CreateUser: apply_stores.create_user,
    mutations.RotateKey: apply_stores.rotate_key,
    access_mutations.RewrapKeys: apply_stores.rewrap_keys,
    iam_mutations.CreateIamEntity: apply_iam.create_iam_entity,
    iam_mutations.ChangeIamEntity: apply_iam.change_iam_entity,
    iam_mutations.DeleteIamEntity: apply_iam.delete_iam_entity,
    iam_mutations.LinkIam: apply_iam.link_iam,
    iam_mutations.UnlinkIam: apply_iam.unlink_iam,
    kms_mutations.CreateKmsKey: apply_kms.create_kms_key,
    kms_mutations.RotateKmsKey: apply_kms.rotate_kms_key,
    kms_mutations.SetKmsKey: apply_kms.set_kms_key,
    mutations.CreateBucket: apply_stores.create_bucket,
    mutations.DeleteBucket: apply_stores.delete_bucket,
    mutations.SetVersioning: apply_stores.set_versioning,
    lifecycle_mutations.PutLifecycle: apply_expiry.put_lifecycle,
    lifecycle_mutations.DeleteLifecycle: apply_expiry.delete_lifecycle,
    lifecycle_mutations.JudgeVersions: apply_expiry.judge_versions,
    clock_mutations.NoteClock: apply_clock.note_clock,
    clock_mutations.AdjustClock: apply_clock.adjust_clock,
    clock_mutations.AcceptClock: apply_clock.accept_clock,
    clock_mutations.CancelClock: apply_clock.cancel_clock,
    lock_mutations.PutObjectLock: apply_lock.put_object_lock,
    event_mutations.ForgetEvents: apply_events.forget_events,
    trail_mutations.FoundAudit: apply_trail.found_audit,
    trail_mutations.MoveTarget: apply_trail.move_target,
    mutations.PutBucketDocument: apply_stores.put_bucket_document,
    mutations.DeleteBucketDocument: apply_stores.delete_bucket_document,
    mutations.ReserveChunk: apply_chunks.reserve_chunk,
    mutations.OpenLanding: apply_chunks.open_landing,
    mutations.CloseChunk: apply_chunks.close_chunk,
    mutations.ReplaceMember: apply_chunks.replace_member,
    mutations.SealChunk: apply_chunks.seal_chunk,
    mutations.ForgetChunk: apply_collection.forget_chunk,
    usage_mutations.CountRequests: apply_usage.count,
    usage_mutations.CloseUsage: apply_usage.close_usage,
    usage_mutations.PruneUsage: apply_usage.prune_usage,
    usage_mutations.SetPrices: apply_usage.set_prices,
}
# Steps that change what counters of buckets and chunks say.
_COUNTED: dict[type, Callable[[apsw.Connection, Any, Stamp, Tally], Result]] = {
    mutations.PutVersion: apply_objects.put_version,
    mutations.CopyVersion: apply_objects.copy_version,
    mutations.DeleteVersion: apply_objects.delete_version,
    mutations.SetTags: apply_objects.set_tags,
    ecs_mutations.SetRetention: apply_objects.set_retention,
    ecs_mutations.EmptyBucket: apply_emptying.empty_bucket,
    lifecycle_mutations.ExpireDue: apply_expiry.expire_due,
    mutations.SetAcl: apply_objects.set_acl,
    lock_mutations.PutRetention: apply_lock.put_retention,
    lock_mutations.PutLegalHold: apply_lock.put_legal_hold,
    annotation_mutations.PutAnnotation: apply_annotations.put_annotation,
    annotation_mutations.DeleteAnnotation: apply_annotations.delete_annotation,
    annotation_mutations.OwnBytes: apply_encryption.own_bytes,
    annotation_mutations.SetEncryption: apply_encryption.set_encryption,
    archive_mutations.RestoreVersion: apply_archive.restore_version,
    archive_mutations.RestoreBlob: apply_archive.restore_blob,
    archive_mutations.FinishRestore: apply_archive.finish_restore,
    archive_mutations.DropRestored: apply_archive.drop_restored,
    archive_mutations.CompressBlob: apply_archive.compress_blob,
    archive_mutations.SettleArchived: apply_archive.settle_archived,
    trail_mutations.PackAudit: apply_trail.pack_audit,
    trail_mutations.RemoveAudit: apply_trail.remove_audit,
    mutations.PutPart: apply_uploads.put_part,
    mutations.CompleteUpload: apply_uploads.complete_upload,
    mutations.AbortUpload: apply_uploads.abort_upload,
    mutations.ReapOrphans: annotation_rows.reap_orphans,
    mutations.CountDead: apply_chunks.count_never_lived,
    mutations.MoveBlob: apply_collection.move_blob,
    mutations.MeasureChunk: apply_collection.measure_chunk,
    mutations.CondemnChunk: apply_collection.condemn_chunk,
    audit_mutations.RecordAudit: apply_audit.record_audit,
}


def apply(db: apsw.Connection, mutation: Mutation, stamp: Stamp, tally: Tally) -> Result:
    """Apply one mutation; counters go to the tally, which the caller writes before it commits.

    On `Refusal` the caller rolls back what was done, rows and tally. An id that exists already (a
    mutation sent twice) is refused as InternalError; other `apsw.Error`s are the database's own
    trouble.
    """
    try:
        counted = _COUNTED.get(type(mutation))
        if counted is not None:
            before = db.total_changes()
            result = counted(db, mutation, stamp, tally)
            if isinstance(mutation, Caused) and db.total_changes() != before:
                apply_events.note_change(db, mutation, stamp, result)
            return result
        return _STEPS[type(mutation)](db, mutation, stamp)
    except apsw.ConstraintError as error:
        name = type(mutation).__name__
        raise Refusal("InternalError", f"{name} breaks a constraint: {error}") from error


def needs_body(mutation: Mutation) -> bool:
    """Whether it travels with its blob's ciphertext, which has no extents yet."""
    if isinstance(mutation, MoveBlob):
        return any(not extent.chunk for extent in mutation.new)
    if not isinstance(mutation, WITH_BLOB):
        return False
    return mutation.blob.size > 0 and not mutation.blob.extents


def place(mutation: Mutation, extents: tuple[Extent, ...]) -> Mutation:
    """The mutation with its blob's extents filled in: where its body was landed."""
    if isinstance(mutation, MoveBlob):
        at = next(i for i, extent in enumerate(mutation.new) if not extent.chunk)
        return replace(mutation, new=(*mutation.new[:at], *extents, *mutation.new[at + 1 :]))
    if not isinstance(mutation, WITH_BLOB):
        raise TypeError(f"{type(mutation).__name__} carries no body")
    return replace(mutation, blob=replace(mutation.blob, extents=extents))
