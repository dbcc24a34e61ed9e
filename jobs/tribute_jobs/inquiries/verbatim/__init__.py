"""What an answer shares with the sources word for word."""
