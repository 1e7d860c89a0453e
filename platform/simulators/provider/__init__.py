"""A payment provider that speaks Stripe's REST API for refunds, on a durable ledger."""
