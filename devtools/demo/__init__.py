"""`python3 dev.py demo`: a tour with two orders, which checks what it shows."""
