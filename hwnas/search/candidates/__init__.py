"""Candidate architectures: their accuracies, and the check on the device."""
