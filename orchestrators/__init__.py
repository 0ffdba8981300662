"""The saga: the order of its steps, its undo log, and the table of steps with their deadlines. Pure."""
