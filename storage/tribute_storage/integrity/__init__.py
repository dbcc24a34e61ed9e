"""Damage to the lake's own files, and machines that refuse: found, and said in one message with its remedy."""
