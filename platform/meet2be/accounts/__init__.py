"""People: passwords, log-ins, the brake on guessing, and the sessions of their browsers."""
