"""The event platform: conferences, orders, attendees, and what happens to their money."""
