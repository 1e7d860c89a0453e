"""Money that came in and goes back: providers, the refund ledger, what providers tell us."""
