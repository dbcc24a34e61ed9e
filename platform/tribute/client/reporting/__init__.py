"""Uses on their way to the service: read from completions, kept, delivered in batches, and counted."""
