"""Observability: what every process counts, and who can look at it.

Each process keeps its figures in a page of shared memory (`page`); whoever is asked reads all
pages (`gathering`): a scrape costs the processes that serve nothing, and works while they are down.
"""
