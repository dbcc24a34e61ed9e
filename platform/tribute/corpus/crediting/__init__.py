"""Text and examples that stand in several sources are credited to one of them."""
