"""Organisations as their people and the operators know them: sign-up, sender, limits, suspension.

Above the domains, because it asks and stops all of them; ``meet2be.tenancy`` below them holds the
tables.
"""
