"""Coresets: pruning by sensitivity, the guarantees that come with it, and what they promise about labels."""
