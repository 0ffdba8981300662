"""What a verb needs is installed: standard library alone, for a Python that has nothing else."""
