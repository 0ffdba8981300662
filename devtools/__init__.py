"""What development runs and the app never imports: `dev.py` starts these."""
