"""The root of the platform's own errors."""


class Meet2BeError(Exception):
    """Anything the platform refuses to do; the message says what happened and what to do."""
