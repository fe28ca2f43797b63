"""A command under a profile: compiled for this host, started, verified, and kept serving."""
