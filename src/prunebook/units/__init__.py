"""Pruning whole units: scores, mean replacement, folding, removal, and losses of many variants at once."""
