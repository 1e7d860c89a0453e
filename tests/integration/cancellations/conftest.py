"""A conference to cancel; the provider is one process for all of these tests."""

from support.conferences import any_meeting, meeting, provider

__all__ = ["any_meeting", "meeting", "provider"]
