"""A conference whose cancellation is killed; the provider is one process for all of these tests."""

from support.conferences import meeting, postgres_meeting, provider

__all__ = ["meeting", "postgres_meeting", "provider"]
