"""A development host for Durable Functions apps in Python: `python -m devhost --app DIR`."""
