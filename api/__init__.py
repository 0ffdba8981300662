"""The handlers of HTTP requests and their responses. The triggers themselves are in function_app.py."""
