"""Process trees: a keeper that ends one, its parent's side, recovery, and ``/proc``."""
