"""What is done to a lake as a whole: examined, kept small, and listed for a copy."""
