"""The tools of development, which `dev.py` starts and the app never imports."""
