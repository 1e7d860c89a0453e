"""What an event sold, recomputed from its ledgers."""
