"""Notices beyond the page: by mail, and to a tenant's own Slack or webhook channels."""
