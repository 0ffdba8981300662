"""Shared by devhost and the sandbox: both serve a laptop, which every web page can reach. Not deployed."""
