"""Fixed, class-balanced choices of images. They depend on the labels alone, so that every machine agrees."""

import hashlib

import numpy as np
from jaxtyping import Int64

from prunebook.errors import InputError

SEED = 0


def rank_in_class(y: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Each image's place (from 0) among those of its class, in a fixed random order."""
    # RandomState's stream is frozen for good; a Generator's may change with a release of numpy.
    shuffled = np.random.RandomState(SEED).permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    counts = np.bincount(y)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(y), dtype=np.int64)
    rank[by_class] = np.arange(len(y)) - first
    return rank


def apportion(counts: Int64[np.ndarray, " classes"], n: int) -> Int64[np.ndarray, " classes"]:
    """``n`` seats shared in proportion to ``counts``: each share is rounded up or down, the largest
    remainders up (ties: the lower class). Never more than ``counts``; needs n <= sum(counts)."""
    total = max(int(counts.sum()), 1)
    shares, remainders = np.divmod(counts * n, total)
    up = np.argsort(-remainders, kind="stable")[: n - int(shares.sum())]
    shares[up] += 1
    return shares


def stratified(y: Int64[np.ndarray, " n"], sizes: list[int]) -> list[Int64[np.ndarray, " _"]]:
    """Disjoint sets of images of the given sizes, each class within one of its proportional share of what
    the earlier sets left. A set does not depend on those after it. Indices ascend.

    Raises InputError if the sizes add up to more than there is.
    """
    if sum(sizes) > len(y):
        raise InputError(f"cannot take {' + '.join(f'{s:,}' for s in sizes)} images out of {len(y):,}")
    rank, counts = rank_in_class(y), np.bincount(y).astype(np.int64)
    start, sets = np.zeros_like(counts), []
    for size in sizes:
        stop = start + apportion(counts - start, size)
        sets.append(np.flatnonzero((start[y] <= rank) & (rank < stop[y])))
        start = stop
    return sets


def first_of_each_class(y: Int64[np.ndarray, " n"], limit: int) -> Int64[np.ndarray, " _"]:
    """At most ``limit`` images of each class (all of a smaller class). Indices ascend."""
    return np.flatnonzero(rank_in_class(y) < limit)


def fingerprint(*sets: Int64[np.ndarray, " _"]) -> str:
    """SHA-256 of which images are in which set."""
    digest = hashlib.sha256()
    for indices in sets:
        digest.update(f"{len(indices)}:".encode() + indices.astype("<i8").tobytes())
    return f"sha256:{digest.hexdigest()}"
