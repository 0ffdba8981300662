"""The outside world for laptops and tests: payments, mail and push as processes of their own.

The app reaches them only through the wire protocol that it would use in production. What they did stands in an
append-only ledger, and what they do wrong is planned by a seed. Nothing in the app imports this package, and it is
not deployed.
"""
