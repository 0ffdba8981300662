"""The task hub in an Azure Storage account: tables, blobs, queues, and the clients that reach them."""
