"""Buying tickets: the steps of an order, each once."""
