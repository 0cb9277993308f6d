"""The coffre command."""
