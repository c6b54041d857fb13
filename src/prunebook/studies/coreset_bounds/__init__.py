"""Pruning the last layer of a network with guarantees: the protocol of Gordon (2021) for one training.

``settings`` says what one run depends on, ``network`` trains it and takes it apart, ``guarantees`` prunes with
coresets and compares bounds with errors, ``stress`` does so under scaling, other inputs and several layers,
``recovery`` prunes by heuristics and fine-tunes, and ``protocol`` puts the tables together.
"""
