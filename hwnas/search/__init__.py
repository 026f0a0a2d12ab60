"""Searchers, and one recipe per published method."""
