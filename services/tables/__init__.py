"""The adapters of Azure Tables: orders, their index, the stock, and the report of the sweep."""
