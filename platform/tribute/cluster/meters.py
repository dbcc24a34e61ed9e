"""What the workers count for Prometheus, through Ray's own exporter."""

from ray.util.metrics import Counter, Histogram


class Meters:
    """The counters of one worker."""

    def __init__(self) -> None:
        self._steps = Counter("tribute_trajectory_steps", "steps of simulated trajectories")
        self._jobs = Histogram(
            "tribute_job_seconds", "time of finished jobs", [1, 10, 60, 600, 3600, 36000], tag_keys=("job",)
        )

    def steps(self, count: int) -> None:
        """Count steps of trajectories."""
        self._steps.inc(count)

    def finished(self, job: str, seconds: float) -> None:
        """Count a finished job and its time, in seconds."""
        self._jobs.observe(seconds, {"job": job})
