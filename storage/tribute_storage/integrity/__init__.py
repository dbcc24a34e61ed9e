"""Damage to the lake's own files: found where they are read, and said in one message with its remedy."""
