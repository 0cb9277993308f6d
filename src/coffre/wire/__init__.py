"""Bytes to values and back, without I/O: signatures, chunked bodies, checksums, ranges, XML, names, errors."""
