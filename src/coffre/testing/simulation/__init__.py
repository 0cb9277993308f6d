"""A simulator of a whole node: the real engine in one process, drives in memory, virtual time.

One seed decides everything: what clients ask for and in which order work is interleaved, which
drives fail and how, when power goes and what it leaves. A seed that shows a fault shows it again.
"""
