"""Refunds that no cancel run makes: of an order, a ticket, or a payment that came in twice."""
