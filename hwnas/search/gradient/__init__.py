"""What gradient methods share: architecture parameters, the weights of costs, pruning."""
