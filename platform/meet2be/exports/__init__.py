"""Exports of an event's attendees as files."""
