"""Rules of the catalogue, one topic a module: traps that settings hold, seen in a scene."""
