"""The part of Stripe's API under /v1 that an order's payment needs, with Stripe's shapes, refusals and idempotency."""
