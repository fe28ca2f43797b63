"""Interpreters of our own: built, fetched, kept on record, and attested.

Each lies whole in a folder of its own, with a record of where it came from beside its files. An
engine environment is made on one by installing the same locked packages, and the tuning
``interpreter`` then starts the server from there.
"""
