"""From valuations to money, and the proof of it. No float decides an amount."""
