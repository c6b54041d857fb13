"""All methods on the same networks, at the same ratios, with the same fine-tuning.

``settings`` says what a run depends on, and which rankings meet which compensations. ``drawn`` makes coresets by
drawing, ``fitting`` trains, prunes and measures networks, ``timing`` and ``costs`` take times.
``weights`` and ``channels`` carry out one seed, on dense networks and on convolutional ones, and ``protocol`` chooses
between the two.
"""
