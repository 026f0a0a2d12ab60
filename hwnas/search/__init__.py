"""Search: from a problem to a network that keeps its budgets, measured.

`find.find_network` is the whole way; ``methods/`` holds one recipe a file.
"""
