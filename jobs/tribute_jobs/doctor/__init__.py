"""What faults leave behind on a machine and in a project, each with its remedy; and repair of what is safe."""
