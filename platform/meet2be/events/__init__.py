"""Conferences and what is sold for them."""
