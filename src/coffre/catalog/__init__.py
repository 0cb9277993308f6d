"""What exists: stores, users, buckets, versions, uploads; one committer, one log."""
