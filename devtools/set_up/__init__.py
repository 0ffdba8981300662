"""Installs the needs of a verb. Standard library alone, for a Python that has nothing else."""
