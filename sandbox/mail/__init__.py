"""Mail over SMTP and push over Notification Hubs' REST API; one ledger lists the accepted messages."""
