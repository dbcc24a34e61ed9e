"""The routes of the service, a router a file. `tribute_jobs.service.web` names all of them."""
