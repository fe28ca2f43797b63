"""Kernel settings that outlive a command: planned, applied, kept over a boot, and taken back."""
