"""How exactly a smaller network is what its definition says, for networks of many forms."""

from collections.abc import Iterable, Mapping

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision import models

from prunebook.networks.evaluating import evaluating
from prunebook.units.graph.dependencies import NORMS, tensors
from prunebook.units.graph.pruning import prune_graph

SIZES = {"vit_b_16": 224}  # of images, where it is not 64
CLASSES = 10


def torchvision_networks(*, narrow: bool = True, seed: int = 0) -> dict[str, tuple[nn.Module, Tensor]]:
    """Torchvision's networks with random weights in float64, each with four images; narrower ones of the same classes,
    for images of 32 x 32, unless the whole is asked for."""
    torch.manual_seed(seed)
    if narrow:
        layers = [8, "M", 16, "M", 16, 24, "M"]
        blocks = [models.convnext.CNBlockConfig(16, 24, 2), models.convnext.CNBlockConfig(24, None, 2)]
        made = {
            "resnet18": models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1]),
            "mobilenet_v2": models.mobilenet_v2(width_mult=0.25),
            "mobilenet_v3_small": models.mobilenet_v3_small(width_mult=0.5),
            "densenet121": models.DenseNet(8, (2, 3, 2), 16),
            "convnext_tiny": models.ConvNeXt(blocks),
            "vgg11_bn": models.VGG(models.vgg.make_layers(layers, batch_norm=True)),
            "vit_b_16": models.VisionTransformer(32, 8, 3, 4, 32, 64),
            "resnext50_32x4d": models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], groups=4, width_per_group=8),
        }
        made["vgg11_bn"].avgpool = nn.AdaptiveAvgPool2d(2)
        made["vgg11_bn"].classifier = nn.Sequential(nn.Linear(96, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, CLASSES))
    else:
        names = ("resnet18", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "convnext_tiny", "vgg11_bn")
        made = {name: models.get_model(name, num_classes=CLASSES) for name in (*names, "vit_b_16", "resnext50_32x4d")}
    found = {}
    for name, model in made.items():
        size = 32 if narrow else SIZES.get(name, 64)
        found[name] = (_alive(model).double().eval(), torch.randn(4, 3, size, size, dtype=torch.float64))
    return found


@torch.no_grad()
def _alive(model: nn.Module) -> nn.Module:
    """The model with what a fresh one lacks: batch norms that do something, and no layer that is zero or nearly so."""
    for module in model.modules():
        if isinstance(module, NORMS):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.bias.normal_(0, 0.3)
    for name, parameter in model.named_parameters():
        if name.endswith("layer_scale") or (name.startswith("heads") and parameter.ndim == 2):
            parameter.normal_()
    return model


def exactness(
    networks: Mapping[str, tuple[nn.Module, Tensor]],
    replacements: Iterable[str] = ("zero", "mean"),
    *,
    ratio: float = 0.4,
    score: str = "variance",
) -> pd.DataFrame:
    """One row for each network and replacement.

    ``removed`` is the share of parameters that went. ``difference`` is the largest difference between the outputs of
    the smaller network and those of the one whose layers read the replacements as it runs, and ``change`` that between
    the smaller one and the one there was, both relative to the largest output. ``left_alone`` counts layers.
    """
    rows = []
    for name, (model, x) in networks.items():
        for replacement in replacements:
            found = prune_graph(model, x, ratio, score=score, replacement=replacement)
            with torch.no_grad(), evaluating(model), evaluating(found.model):
                before, after = (tensors(net(x))[0] for net in (model, found.model))
            sizes = [sum(p.numel() for p in net.parameters()) for net in (model, found.model)]
            rows.append(
                {
                    "network": name,
                    "replacement": replacement,
                    "removed": 1 - sizes[1] / sizes[0],
                    "difference": found.difference,
                    "change": float((after - before).abs().max() / before.abs().max()),
                    "left_alone": len(found.left_alone),
                }
            )
    return pd.DataFrame(rows)
