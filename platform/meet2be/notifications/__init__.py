"""Notices in the page for the people who run a tenant."""
