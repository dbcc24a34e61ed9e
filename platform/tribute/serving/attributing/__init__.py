"""From a request to its answer: pieces of its queries in batches with others, read out exactly or predicted."""
