"""The API document (OpenAPI 3.1) and the requests file, made from the triggers, the models and a table of routes."""
