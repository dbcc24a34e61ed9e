"""What the benchmark of the service consists of: projects, the bare application, clients, what is measured."""
