"""The history of an orchestration: its events, how they are built, how statuses and failures are worded."""
