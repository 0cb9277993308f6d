"""Who may do what: pure decisions on principals, resources and operations."""
