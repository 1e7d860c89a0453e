"""The background jobs of the event platform, one class a module."""
