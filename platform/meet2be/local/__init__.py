"""What one machine needs to run the platform by itself: servers of its own, kept in `var/`."""
