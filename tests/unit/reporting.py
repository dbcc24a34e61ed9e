"""A reporter that notes what it is told."""

import time

from tribute.progress import LateLines, ProgressFigures


class Noted(LateLines):
    """Keeps the figures, the parts of the work, how far each came, and the warnings."""

    def __init__(self, every_s: float = 60.0) -> None:
        super().__init__(every_s)
        self.warnings = list[str]()
        self.told, self.parts = list[ProgressFigures](), dict[str, list[tuple[float, int]]]()

    def tell(self, figures: ProgressFigures) -> None:
        self.told.append(figures)

    def working(self, part: str) -> None:
        super().working(part)
        self.parts.setdefault(part, [])

    def advanced(self, done: float, total: int) -> None:
        super().advanced(done, total)
        self.parts.setdefault(self.figures().part, []).append((done, total))

    def warned(self, message: str) -> None:
        self.warnings.append(message)

    def wait(self, count: int) -> None:
        """Until so many figures were told."""
        until = time.monotonic() + 20
        while len(self.told) < count and time.monotonic() < until:
            time.sleep(0.005)
