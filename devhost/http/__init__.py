"""What a caller of devhost meets: routes of the app, the HTTP API of Durable Functions, and their answers."""
