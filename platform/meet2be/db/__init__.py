"""The database: tables, engines and sessions that keep tenants apart."""
