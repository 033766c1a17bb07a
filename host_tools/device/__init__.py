"""What is done to a board from the host: see commands."""
