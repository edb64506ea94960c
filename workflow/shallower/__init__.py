"""The library behind shallower: everything that is decided or computed, without Snakemake.

Layer indices are 0-based from the bottom everywhere in code and files.
"""
