"""What users of the core need to test their jobs, and drivers to test themselves."""
