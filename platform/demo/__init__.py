"""The proof: 5,000 attendees are cancelled while workers are killed, counted from outside."""
