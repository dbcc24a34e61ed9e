"""Drawn settings, rights and accounts, and an oracle of integers and fractions."""
