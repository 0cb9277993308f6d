"""What a session runs in, as its person would call it: "Firefox, Linux"."""

from __future__ import annotations

from typing import Final

# The first that is in the header counts: most browsers name others, too.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
    ("Python", "Python"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """From a User-Agent header; "" for one that says nothing."""
    names = [
        next((name for mark, name in known if mark in user_agent), "")
        for known in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(name for name in names if name) or user_agent[:40]
