"""The history of an orchestration: its events, their builders, and the texts of statuses and failures."""
