"""Small units, for a process that simulates and does nothing else: imported before all the rest."""

from __future__ import annotations

from coffre.vault import records

records.STRIPE_UNIT = 32 * 1024
records.CHUNK_BYTES = 256 * 1024

from coffre.catalog import checkpoint  # noqa: E402  (with the sizes above)
from coffre.vault import landing  # noqa: E402

landing.AHEAD = 8 * 1024
checkpoint.WAL_BYTES = 256 * 1024
