"""A server: launched or attached to, where it listens, its environment and its log."""
