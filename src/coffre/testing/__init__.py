"""The shipped test kit: memory twins, contracts and fault injectors."""
