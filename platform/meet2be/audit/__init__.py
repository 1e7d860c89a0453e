"""The audit log: who did what to which object, and why; written once, never changed."""
