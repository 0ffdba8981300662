"""The activities: each do of the saga beside its undo, and what they need of the outside as protocols."""
