"""Triggers that a clock fires."""
