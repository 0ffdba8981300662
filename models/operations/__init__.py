"""What operators see of orders: lists, timelines, the audit trail, and when an alert is due."""
