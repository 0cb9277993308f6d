"""Values of the management API."""
