"""What a process may be out of, for a while, and whose fault that is not."""

from __future__ import annotations


class Starved(Exception):
    """No file descriptor, memory or thread is left just now: no disk is to blame."""
