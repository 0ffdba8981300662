"""Durable entities: their scheduler as pure rules, and the dispatcher that applies them."""
