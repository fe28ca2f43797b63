"""How findings are shown: text for people, JSON, SARIF 2.1.0 and GitHub annotations."""
