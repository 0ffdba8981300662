"""The host's side of the worker: its process, its calls, and what happens when it dies."""
