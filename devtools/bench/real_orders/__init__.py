"""The real order saga under load: the product itself, the floor of its calls, and another commit beside it."""
