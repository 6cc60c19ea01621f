"""k-means on unit vectors, by scikit-learn."""

from __future__ import annotations

import numpy as np

from routebench.records import Floats, Ints


def kmeans(vectors: Floats, k: int, starts: int, seed: int) -> tuple[Floats, Ints]:
    """Return centres [k', d] and the centre of each vector; k' is k, or as many as differ."""
    from sklearn.cluster import KMeans

    k = max(1, min(k, len(np.unique(vectors, axis=0))))
    fitted = KMeans(k, n_init=starts, tol=0.0, random_state=seed).fit(vectors)
    return fitted.cluster_centers_, fitted.labels_


def indicators(labels: Ints, k: int) -> Floats:
    """Return [n, k] 1 for each vector's own cluster."""
    ones: Floats = np.eye(k)[labels]
    return ones


def unit(vectors: Floats) -> Floats:
    """Return the vectors brought to unit length; zeros stay."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.where(norms > 0, norms, 1.0)
    return scaled
