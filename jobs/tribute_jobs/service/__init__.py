"""The HTTP service: a FastAPI application of API and pages, over an engine that knows no HTTP."""
