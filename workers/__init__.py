"""The long-running processes: `python -m workers NAME`."""
