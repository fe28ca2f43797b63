"""Load: seeded requests, a streaming client, windows, and the guards that void them."""
