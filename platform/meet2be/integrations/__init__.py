"""What speaks to the outside world; each module is the only importer of its library."""
