"""devhost's speed, beside the limit that its storage sets: `python3 dev.py bench`."""
