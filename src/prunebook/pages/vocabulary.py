"""What readers are told things are called: methods, networks, stages, scores, layer sets. Names only, no code behind
them, so that a page or a figure can say "Wanda" without loading what computes it.
"""

# Methods of pruning weights, by their names in ``prunebook.weights.METHODS``, and the two controls.
METHODS = {
    "elimination-compensation": "Elimination-compensation",
    "non-linear": "Non-linear (brute force)",
    "magnitude": "Magnitude",
    "gradient-magnitude": "Gradient-magnitude",
    "random": "Random",
    "fully-connected": "Fully-connected (narrower)",
    "obd": "OBD (Gauss-Newton)",
    "wanda": "Wanda",
    "layerwise-obs": "Layer-wise OBS",
    "mean-replacement": "Mean replacement",
    "joint-compensation": "EC, joint shifts",
    "ec-ranking-only": "EC ranking, no shift",
    "magnitude-compensated": "Magnitude, EC shift",
    "ec-refit": "EC, re-fit",
    "magnitude-refit": "Magnitude, re-fit",
    "mean-replacement-refit": "Mean replacement, re-fit",
    "non-linear-refit": "Non-linear (brute force), re-fit",
    "dense": "Dense",
}
# Rankings and compensations where they are crossed, in the order of the head-to-head's grids.
CRITERIA = {
    "elimination-compensation": "EC",
    "obd": "OBD",
    "mean-replacement": "mean replacement",
    "wanda": "Wanda",
    "layerwise-obs": "layer-wise OBS",
    "non-linear": "brute force",
    "coreset-drawn": "drawn coreset",
    "narrow": "narrower network",
}
COMPENSATIONS = {
    "none": "no shift",
    "mean": "mean shift",
    "elimination": "EC shift",
    "joint": "joint shifts",
    "obs": "re-fit",
}
STAND_INS = {"none": "zeros", "mean": "means"}  # in the place of a pruned unit
# The pairs that are methods with a name: (ranking, compensation) to method.
PAIRS = {
    ("elimination-compensation", "elimination"): "elimination-compensation",
    ("non-linear", "mean"): "non-linear",
    ("magnitude", "none"): "magnitude",
    ("gradient-magnitude", "none"): "gradient-magnitude",
    ("random", "none"): "random",
    ("obd", "none"): "obd",
    ("wanda", "none"): "wanda",
    ("layerwise-obs", "obs"): "layerwise-obs",
    ("mean-replacement", "mean"): "mean-replacement",
    ("elimination-compensation", "joint"): "joint-compensation",
    ("elimination-compensation", "none"): "ec-ranking-only",
    ("magnitude", "elimination"): "magnitude-compensated",
    ("elimination-compensation", "obs"): "ec-refit",
    ("magnitude", "obs"): "magnitude-refit",
    ("mean-replacement", "obs"): "mean-replacement-refit",
    ("non-linear", "obs"): "non-linear-refit",
}
NETS = {"lenet": "LeNet-300-100", "pde": "PDE network", "small": "Small"}
STAGES = {"pruned": "Right after pruning", "fine-tuned": "After fine-tuning"}
LOSSES = {"loss": "Test loss", "clean_loss": "Test loss, clean targets", "train_loss": "Training loss"}
LEVELS = {"dense": "Dense, before pruning", "dense-on": "Dense, trained on"}
FLOORS = {"noise": "Noise floor", "blind_test": "Blind to the initial state"}
# What the coreset bounds prune, and how.
KINDS = {
    "neurons": "Units",
    "weights": "Weights",
    "weights, ratio": "Weights, ratio",
    "weights, CoreNet": "Weights, CoreNet",
    "sampling": "Weights, sampled",
    "deterministic": "Weights, deterministic",
    "hybrid": "Weights, hybrid",
    "gates": "L0 gates",
}
CASES = ("easy", "moderate", "difficult")
# Scores of units are called by their names in the tables.
SCORES = ("norm", "rand", "rs", "abs_rs", "mrs", "abs_mrs")
REPLACED = {"mean": "Mean replacement", "zero": "Zero"}
SETS = {
    "all": "All layers",
    "firstconv": "First conv.",
    "midconv": "Middle conv.",
    "lastconv": "Last conv.",
    "firstdense": "First dense",
}


def net_name(net: str) -> str:
    """A network of the head-to-head; one that is not of the study's own is called by its name."""
    return NETS.get(net, net)


def network_name(net: str) -> str:
    """A network of mean replacement: VGG11, Small, Medium with batch norm."""
    first, *rest = net.split()
    return " ".join([first.upper() if first.startswith("vgg") else first.capitalize(), *rest])


def ranking_name(ranking: str) -> str:
    return CRITERIA.get(ranking, ranking)


def compensation_name(compensation: str, kind: str = "weights") -> str:
    """Of weights, what is shifted; of units, what stands in their place."""
    return (STAND_INS if kind == "units" else COMPENSATIONS).get(compensation, compensation)


def pair_name(ranking: str, compensation: str, kind: str = "weights") -> str:
    """EC, mean shift; norm, zeros; drawn coreset."""
    if ranking in ("dense", "narrow", "coreset-drawn"):
        return ranking_name(ranking)
    return f"{ranking_name(ranking)}, {compensation_name(compensation, kind)}"
