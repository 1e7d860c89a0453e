"""A mail server that keeps every message it accepts, counts them, and misbehaves on demand."""
