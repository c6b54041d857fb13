"""Mean replacement along a training: the protocol of Evci et al. (2019) for one network and seed.

``settings`` says what one run depends on, ``grid`` makes the variants of one step and measures them, ``probes``
asks further questions at a few steps, ``tuning`` fine-tunes folded networks, and ``protocol`` puts the tables
together.
"""
