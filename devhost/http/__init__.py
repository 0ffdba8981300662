"""The HTTP edge of devhost: routes of the app, the HTTP API of Durable Functions, and their answers."""
