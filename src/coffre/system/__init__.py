"""What the world offers, as arguments: clock, entropy, disk. Everything else is told the time, never asks it."""
