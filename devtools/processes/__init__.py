"""Processes, ports and files of this machine, for the tools that start something."""
