"""The worker: the child process that imports the app and runs its functions."""
