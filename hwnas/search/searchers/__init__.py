"""What proposes architectures: evolution, random search, and fronts."""
