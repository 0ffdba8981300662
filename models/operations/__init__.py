"""The operators' view of orders: lists, timelines, the audit trail, and the rules for alerts."""
