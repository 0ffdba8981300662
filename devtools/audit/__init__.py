"""The auditor: whether money, stock, labels, mails and what customers are told agree."""
