"""The task hub in an Azure Storage account: tables, blobs, queues, and their clients."""
