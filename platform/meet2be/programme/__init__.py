"""What organisers put on: events and their kinds of tickets, made, changed and published."""
