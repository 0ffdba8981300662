"""`python3 dev.py order`: the API's commands at a terminal."""
