"""The product as one runs it on a machine of its own: `python3 dev.py start`."""
