"""SQL over the lake: views, macros, and a sandbox for untrusted queries."""
