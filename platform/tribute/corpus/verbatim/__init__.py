"""Text that an answer shares with sources, word for word: an index of the corpus on disk, and look-ups in it."""
