"""One execution of an orchestration in memory, and the decisions of its turns. Nothing here writes."""
