"""Attendees: one row per ticket, and how they come in."""
