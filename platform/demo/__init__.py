"""The proof: a conference of 5,000 is cancelled while its workers are killed, counted from outside."""
