"""Small units, for a process that simulates and does nothing else: imported before all the rest."""

from __future__ import annotations

from coffre.vault import records

records.STRIPE_UNIT = 32 * 1024
records.CHUNK_BYTES = 2 * 1024 * 1024
