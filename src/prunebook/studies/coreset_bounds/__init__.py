"""Pruning the last layer of a network with guarantees: the protocol of Gordon (2021) for one training."""
