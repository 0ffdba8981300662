"""What devhost costs, beside what its storage alone allows: `python3 dev.py bench`."""
