"""The sweep, which mends what no live saga looks after."""
