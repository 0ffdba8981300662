"""What devhost and the sandbox have in common: both serve a laptop, which every web page can reach. Not deployed."""
