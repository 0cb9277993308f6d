"""Wires a configuration into a running node: the one room that knows all the others."""

from coffre.service.layout import StartRefused
from coffre.service.start import initialize, offline, serve

__all__ = ["StartRefused", "initialize", "offline", "serve"]
