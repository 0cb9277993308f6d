"""Bytes to values and back, without I/O: signatures, bodies, checksums, XML, names, errors."""
