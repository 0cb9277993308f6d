"""Background work of one shape."""
