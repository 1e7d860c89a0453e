"""Simulated outside services: a payment provider and a mail server, each a process of its own.

The product never imports this package; the demo and the tests do.
"""
