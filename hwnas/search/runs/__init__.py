"""The folder of a run: configuration, log, results and pictures."""
