"""Tenants: who shares the platform, and what keeps them apart."""
