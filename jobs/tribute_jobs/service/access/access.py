"""All parts of access to a service, opened together."""

from dataclasses import dataclass, field

from tribute.config import Project
from tribute_jobs.service.access.audit import AuditLog
from tribute_jobs.service.access.keys import Keys
from tribute_jobs.service.access.limits import RateLimits, RefusalLimits
from tribute_jobs.service.access.sessions import Sessions
from tribute_jobs.service.access.store import AccessFile, access_path


@dataclass(frozen=True)
class Access:
    """Keys, sessions, the audit table and limits of a project's service: of keys, and of callers without one."""

    keys: Keys
    sessions: Sessions
    audit: AuditLog
    limits: RateLimits
    refusals: RefusalLimits = field(default_factory=RefusalLimits)


def open_access(project: Project) -> Access:
    """Open the access file of a project, which is made if it is not there.

    Raises:
        MachineError: the disk or the folder refuses.
        DamagedFile: the file is no whole SQLite database.
    """
    file, serving = AccessFile(access_path(project)), project.serving
    keys = Keys(file)
    limits = RateLimits(serving.requests_per_minute, serving.queries_per_minute)
    return Access(keys, Sessions(file, keys), AuditLog(file), limits)
