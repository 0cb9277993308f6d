"""IAM and STS: who a store's users, groups and roles are, and keys that last for a while."""
