"""The providers for laptops and tests: payments, mail and push as processes of their own.

The app reaches them only through the wire protocol that it would use in production. They record their effects in an
append-only ledger, and a fault plan with a seed decides their faults. Nothing in the app imports this package, and it
is not deployed.
"""
