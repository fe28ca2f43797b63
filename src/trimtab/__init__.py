"""trimtab: find, prove and keep the system-level tunings that make a vLLM server faster."""

__version__ = "0.1.0"
