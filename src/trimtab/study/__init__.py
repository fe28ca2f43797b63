"""A study: its question, its folder and ledger, its starts, and what it leaves."""
