"""Imports of lists: attendees of an event, and people of an organisation."""
