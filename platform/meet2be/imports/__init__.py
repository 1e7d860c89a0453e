"""Imports of people from uploaded lists."""
