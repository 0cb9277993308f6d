"""Coffre's benchmarks: each scenario beside what the bare parts can do, in the same run."""
