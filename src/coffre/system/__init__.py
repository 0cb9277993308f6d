"""What the world offers, as arguments: clock, entropy, disk."""
