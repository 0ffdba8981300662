"""`python3 dev.py load`: many orders at once against a deployment, and a judgement of their effects."""
