"""Who may ask the service for what: keys, sessions, roles, rate limits, and a record of every access to money."""
