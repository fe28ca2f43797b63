"""The program that runs the vendors' code for the oracle, in the vendors' environment.

``python -m oracle_child`` with this package's folder on the path. It imports nothing of trimtab,
for trimtab is not installed there. It imports the heavy libraries once and forks for every check,
so that each check is a process that has never used the device.
"""
