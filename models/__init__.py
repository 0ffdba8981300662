"""The data of the product and its rules, without I/O: orders, outcomes, the customer's view, money, stock, errors."""
