"""What PyTorch's allocator gave out."""

from collections.abc import Callable

import numpy as np
from torch.profiler import ProfilerActivity, profile


def allocated(run: Callable[[], object]) -> int:
    """Bytes that are given out at the peak of a call, beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max())
