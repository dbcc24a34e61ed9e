"""Crediting: text and examples that occur in several sources are credited to one of them."""
