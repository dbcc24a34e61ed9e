"""The pages of the service: HTML made on the server, without any inline style or script."""

from tribute_jobs.service.pages import operating, periods, publishers, session

ROUTERS = (session.router, periods.router, publishers.router, operating.router)
"""The routers of all pages."""
