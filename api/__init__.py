"""What an HTTP request is turned into, and what answers it. The triggers themselves stand in function_app.py."""
