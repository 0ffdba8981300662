"""`python3 dev.py doctor`: whether a deployment is well, and what to mend if it is not."""
