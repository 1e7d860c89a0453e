"""Mail the platform sends: an outbox written with its cause, delivered at most once."""
