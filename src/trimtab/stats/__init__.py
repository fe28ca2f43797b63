"""Estimators, designs, multiplicity and power: pure functions of numbers, no I/O.

Everything works on log metrics, so an effect of 0.0953 is a ratio of 1.10. The unit of
replication is the server start: one row, one number.
"""
