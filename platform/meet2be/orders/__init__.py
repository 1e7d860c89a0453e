"""Orders: what a buyer bought in one go."""
