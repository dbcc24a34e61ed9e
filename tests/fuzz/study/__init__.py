"""Studies of drawn models, tasks and trainings, and the same by plain PyTorch."""
