"""Mail over SMTP and push over Notification Hubs' REST API; what was accepted stands in one ledger of messages."""
