"""Running orchestrations: messages, turns, activities, checkpoints, and recovery after a crash."""
