"""Every derived number of a statement and a bundle, computed again from what is printed."""
