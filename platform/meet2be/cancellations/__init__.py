"""Cancelling a conference: preview, run, refunds and mails, item by item."""
