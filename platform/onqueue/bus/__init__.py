"""Where jobs enter: dispatch."""
