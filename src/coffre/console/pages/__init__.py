"""The console's pages: HTML over the management operations."""
