"""Backends: one module or package each, loaded when a connection names it."""
