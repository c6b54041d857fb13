"""Mean replacement along a training: the protocol of Evci et al. (2019) for one network and seed."""
