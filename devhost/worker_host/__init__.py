"""The host's side of the worker: its process, its calls, and its replacement when it dies."""
