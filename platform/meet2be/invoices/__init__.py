"""Invoices, credit notes and their gapless numbers."""
