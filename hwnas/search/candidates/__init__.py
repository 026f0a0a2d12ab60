"""Candidate architectures: their accuracies, here or in several processes, and the check on the device."""
