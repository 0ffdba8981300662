"""Stripe's API under /v1, as far as an order's payment needs it, with Stripe's shapes, refusals and idempotency."""
