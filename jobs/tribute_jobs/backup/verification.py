"""Reads whole backups, so that damage shows before one is needed."""

from collections import defaultdict

from tribute.errors import DamagedFile
from tribute.progress import OnDone
from tribute_jobs.backup.target import Target


def damages(target: Target, advanced: OnDone) -> list[str]:
    """Every damaged manifest and object of a place, with the files that need it; empty: none.

    Args:
        advanced: called with the number of objects that were read, and of all.

    Raises:
        ConfigError: the place holds no backup, or one of a later version of tribute.
    """
    found, users = list[str](), defaultdict[str, list[str]](list)
    for backup_id in target.ids() or [target.manifest()[0]]:
        try:
            manifest = target.manifest(backup_id)[1]
        except DamagedFile as problem:
            found.append(str(problem))
            continue
        for file in manifest.files:
            for name in file.objects:
                users[name].append(f"{file.path} of {backup_id}")
    for number, (name, files) in enumerate(sorted(users.items()), 1):
        try:
            target.get(name)
        except DamagedFile as problem:
            rest = f" and {len(files) - 1} more" if files[1:] else ""
            found.append(f"{problem}; {files[-1]}{rest} need it")
        advanced(number, len(users))
    return found
