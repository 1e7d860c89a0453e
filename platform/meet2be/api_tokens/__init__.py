"""Tokens by which programs use the platform, and the answers that are given to a repeat."""
