"""The table of settings, and one adapter a file: storage, Stripe, labels, mail, push, alerts."""
