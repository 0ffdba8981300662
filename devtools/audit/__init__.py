"""The auditor: whether money, stock, labels, mails and the public API agree."""
