"""A job queue: leased, fenced, at least once."""
