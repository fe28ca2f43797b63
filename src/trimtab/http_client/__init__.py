"""HTTP to a server of this machine: its address, requests, and the framing of replies."""
