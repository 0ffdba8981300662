"""One execution of an orchestration in memory, and what its turns decide. Nothing here writes."""
