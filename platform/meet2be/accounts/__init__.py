"""People who log in: their passwords, sessions and the brake on guessing."""
