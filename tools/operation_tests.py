"""The protocol test that each answer of `docs/compatibility.md` rests on, as `file::test` of
`tests/protocol`. `tests/protocol/test_operation_tests.py` checks that each is there and about it.
"""

from __future__ import annotations

from typing import Final

# By file of tests/protocol: operation -> test.
_BY_FILE: Final[dict[str, dict[str, str]]] = {
    "test_annotations": {
        "DeleteObjectAnnotation": "an_annotation_is_put_read_replaced_listed_and_deleted",
        "GetObjectAnnotation": "an_annotation_is_put_read_replaced_listed_and_deleted",
        "ListObjectAnnotations": "a_listing_comes_in_pages_by_name",
        "PutObjectAnnotation": "an_annotation_is_put_read_replaced_listed_and_deleted",
    },
    "test_access_logging": {
        "GetBucketLogging": "a_configuration_is_told_as_it_was_put",
        "PutBucketLogging": "a_configuration_is_told_as_it_was_put",
    },
    "test_acls": {
        "GetBucketAcl": "all_is_the_owners_where_nobody_said",
        "GetObjectAcl": "a_canned_acl_is_told_as_grants",
        "PutBucketAcl": "a_user_of_another_store_cannot_be_granted_anything",
        "PutObjectAcl": "a_new_version_is_private_again",
    },
    "test_archive": {"RestoreObject": "it_is_restored_for_some_days"},
    "test_bucket_settings": {
        "DeleteBucketEncryption": "every_bucket_is_encrypted_and_may_say_so",
        "DeleteBucketOwnershipControls": "ownership_is_kept_and_removed",
        "DeleteBucketReplication": "what_no_bucket_has_is_deleted_without_error",
        **dict.fromkeys(
            (
                "DeleteBucketInventoryConfiguration",
                "GetBucketInventoryConfiguration",
                "ListBucketInventoryConfigurations",
            ),
            "a_new_bucket_has_none_of_the_configurations_that_have_ids",
        ),
        "DeletePublicAccessBlock": "a_public_access_block_is_kept_and_removed",
        "GetBucketAbac": "what_is_the_same_in_every_bucket_is_told_and_may_be_put",
        "GetBucketEncryption": "every_bucket_is_encrypted_and_may_say_so",
        "GetBucketOwnershipControls": "ownership_is_kept_and_removed",
        "GetBucketReplication": "what_no_bucket_has_is_not_found",
        "GetPublicAccessBlock": "a_public_access_block_is_kept_and_removed",
        "PutBucketAbac": "what_is_the_same_in_every_bucket_is_told_and_may_be_put",
        "PutBucketEncryption": "every_bucket_is_encrypted_and_may_say_so",
        "PutBucketOwnershipControls": "ownership_is_kept_and_removed",
        "PutPublicAccessBlock": "a_public_access_block_is_kept_and_removed",
    },
    "test_buckets": {
        "CreateBucket": "a_bucket_is_made_found_and_removed",
        "DeleteBucket": "a_bucket_with_an_object_or_an_upload_is_not_deleted",
        "GetBucketLocation": "a_bucket_is_made_found_and_removed",
        "HeadBucket": "a_bucket_is_made_found_and_removed",
        "ListBuckets": "buckets_come_in_pages_by_token",
    },
    "test_configurations": {
        "GetBucketAccelerateConfiguration": "acceleration_is_kept",
        "PutBucketAccelerateConfiguration": "acceleration_is_kept",
        "GetBucketRequestPayment": "requesters_pay_only_when_they_know",
        "PutBucketRequestPayment": "requesters_pay_only_when_they_know",
        **{
            f"{verb}Bucket{kind}Configuration{'s' * (verb == 'List')}": (
                "a_configuration_is_told_as_it_was_put"
            )
            for verb in ("Delete", "Get", "List", "Put")
            for kind in ("Analytics", "IntelligentTiering", "Metrics")
        },
    },
    "test_copies": {
        "CopyObject": "a_copy_onto_itself_must_change_something",
        "UploadPartCopy": "parts_are_copied_from_ranges",
    },
    "test_cors": {
        "DeleteBucketCors": "a_configuration_is_kept_replaced_and_removed",
        "GetBucketCors": "a_configuration_is_kept_replaced_and_removed",
        "PutBucketCors": "a_configuration_is_kept_replaced_and_removed",
    },
    "test_delete_conditions": {"DeleteObject": "what_does_not_hold_keeps_the_object"},
    "test_inventory": {
        "PutBucketInventoryConfiguration": "a_configuration_is_told_as_it_was_put",
    },
    "test_lifecycle": {
        "DeleteBucketLifecycle": "a_rule_is_kept_as_it_was_put",
        "GetBucketLifecycle": "the_earliest_form_of_the_call_works",
        "GetBucketLifecycleConfiguration": "a_rule_is_kept_as_it_was_put",
        "PutBucketLifecycle": "the_earliest_form_of_the_call_works",
        "PutBucketLifecycleConfiguration": "a_thousand_rules_are_kept",
    },
    "test_listings_of_objects": {
        "ListObjects": "an_entry_says_what_it_is",
        "ListObjectsV2": "an_entry_says_what_it_is",
    },
    "test_listings_of_versions": {
        "ListObjectVersions": "a_page_ends_inside_a_key_and_says_where",
    },
    "test_multipart": {
        "AbortMultipartUpload": "an_aborted_upload_is_gone",
        "CompleteMultipartUpload": "parts_become_one_object",
        "CreateMultipartUpload": "parts_become_one_object",
        "ListMultipartUploads": "uploads_are_listed_in_pages",
        "ListParts": "parts_are_listed_in_pages",
        "UploadPart": "parts_become_one_object",
    },
    "test_notifications": {
        f"{verb}BucketNotification{form}": (
            "a_configuration_is_told_as_it_was_put_and_can_be_taken_back"
        )
        for verb in ("Get", "Put")
        for form in ("", "Configuration")
    },
    "test_objects": {
        "DeleteObjects": "more_than_a_thousand_deletes_are_refused",
        "GetObject": "bytes_come_back_as_they_went_in",
        "HeadObject": "bytes_come_back_as_they_went_in",
        "PutObject": "bytes_come_back_as_they_went_in",
    },
    "test_object_lock": {
        "GetObjectLegalHold": "a_hold_holds_until_it_is_lifted",
        "GetObjectLockConfiguration": "a_default_is_told_as_it_was_put",
        "GetObjectRetention": "governance_is_made_less_with_header_and_permission",
        "PutObjectLegalHold": "a_hold_holds_until_it_is_lifted",
        "PutObjectLockConfiguration": "a_bucket_that_stands_gets_a_lock_once_it_has_versions",
        "PutObjectRetention": "compliance_is_lengthened_and_nothing_else",
    },
    "test_object_encryption": {
        "UpdateObjectEncryption": "an_object_of_the_stores_key_is_put_under_another",
    },
    "test_policies": {
        "DeleteBucketPolicy": "a_policy_is_told_as_it_was_put_until_it_is_deleted",
        "GetBucketPolicy": "a_policy_is_told_as_it_was_put_until_it_is_deleted",
        "GetBucketPolicyStatus": "a_policy_is_told_as_it_was_put_until_it_is_deleted",
        "PutBucketPolicy": "a_policy_is_told_as_it_was_put_until_it_is_deleted",
    },
    "test_reads": {"GetObjectAttributes": "attributes_are_those_asked_for"},
    "test_restore_refusals": {
        "DeleteBucketMetadataConfiguration": "what_nobody_has_is_deleted_without_error",
        "DeleteBucketMetadataTableConfiguration": "what_nobody_has_is_deleted_without_error",
    },
    "test_select": {"SelectObjectContent": "a_whole_csv_file_comes_back_as_it_was"},
    "test_tagging": {
        "DeleteBucketTagging": "a_buckets_tags_are_replaced_and_removed",
        "DeleteObjectTagging": "a_missing_key_has_no_tags",
        "GetBucketTagging": "a_buckets_tags_are_replaced_and_removed",
        "GetObjectTagging": "each_version_has_tags_of_its_own",
        "PutBucketTagging": "a_bucket_takes_50_tags_and_no_more",
        "PutObjectTagging": "limits_are_reached_and_not_passed",
    },
    "test_versions_of_objects": {
        "GetBucketVersioning": "versioning_is_told",
        "PutBucketVersioning": "versioning_is_told",
    },
    "test_website": {
        "DeleteBucketWebsite": "a_configuration_is_told_as_it_was_put",
        "GetBucketWebsite": "a_configuration_is_told_as_it_was_put",
        "PutBucketWebsite": "a_configuration_is_told_as_it_was_put",
    },
}
RESTS_ON: Final = {
    operation: f"{file}::test_{test}"
    for file, tests in _BY_FILE.items()
    for operation, test in tests.items()
}
