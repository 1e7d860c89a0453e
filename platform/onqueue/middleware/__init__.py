"""What may wrap a job's `handle`."""
