"""The whole product on one machine: `python3 dev.py start`."""
