"""Read-only DuckDB files for the operator and for publishers."""
