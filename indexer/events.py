"""What happens, as named methods.

reading/, writing/ and pipeline.py tell; whoever wants to know (a progress bar, the logs, the metrics, a test's list)
overrides the methods it cares for. Told per block or per batch, never per line.
"""
