"""The management API: one table of routes over the node's operations."""
