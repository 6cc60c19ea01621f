"""Published routers against slow plain references: one forward, loss and gradient in float64.

A reference is written with loops over numbers. Its gradient is taken by complex steps, f(x + ih) /
h, which lose no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from routebench_routers.published.avengers_pro import cluster_weights, votes_of
from routebench_routers.published.clusters import kmeans

N, D, M = 5, 3, 4
Parts = dict[str, Any]


def gradients(loss: Callable[[Parts], Any], parts: Parts) -> Parts:
    """Return the derivative of a loss by every weight."""
    found = {}
    for name, value in parts.items():
        slope = np.zeros(value.shape)
        for place in np.ndindex(*value.shape):
            moved = {n: one.astype(complex) for n, one in parts.items()}
            moved[name][place] += 1e-30j
            slope[place] = np.imag(loss(moved)) / 1e-30
        found[name] = slope
    return found


def by_torch(loss: Callable[[Parts], Any], parts: Parts) -> tuple[float, Parts]:
    """Return loss and gradients of the router's own code, in float64."""
    import torch

    weights = {
        n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in parts.items()
    }
    reached = loss(weights)
    reached.backward()
    return float(reached.detach()), {
        n: np.zeros_like(parts[n]) if w.grad is None else w.grad.numpy() for n, w in weights.items()
    }


def check(mine: Callable[[Parts], Any], plain: Callable[[Parts], Any], parts: Parts) -> None:
    loss, slopes = by_torch(mine, parts)
    assert loss == pytest.approx(float(np.real(plain(parts))), abs=1e-9)
    for name, slope in gradients(plain, parts).items():
        np.testing.assert_allclose(slopes[name], slope, rtol=0, atol=1e-9, err_msg=name)


def data(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    known = rng.random((N, M)) < 0.8
    return {
        "vectors": rng.normal(size=(N, D)),
        "targets": np.where(known, rng.integers(2, size=(N, M)), 0).astype(float),
        "known": known.astype(float),
    }


def tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}


def new(module: str, name: str, **options: Any) -> Any:
    pytest.importorskip("torch")
    from importlib import import_module

    cls = getattr(import_module(f"routebench_routers.published.networks.{module}"), name)
    return cls(cls.Options(**options))


def log_loss(logit: Any, right: float) -> Any:
    return np.log(1 + np.exp(logit)) - right * logit


def mean_over_known(logit: Callable[[int, int], Any], given: dict[str, Any]) -> Any:
    total, count = 0.0 + 0j, 0.0
    for q in range(N):
        for m in range(M):
            if given["known"][q, m]:
                total += log_loss(logit(q, m), given["targets"][q, m])
                count += 1
    return total / count


def dot(left: Any, right: Any) -> Any:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_embedllm() -> None:
    router = new("embedllm", "EmbedLLM", latent_dim=2)
    rng, given = np.random.default_rng(1), data()
    parts = {
        "models": rng.normal(size=(M, 2)),
        "projection": rng.normal(size=(2, D)),
        "shift": rng.normal(size=2),
        "classifier": rng.normal(size=(2, 2)),
        "bias": rng.normal(size=2),
    }

    def logits(p: Parts, q: int, m: int) -> list[Any]:
        seen = [dot(p["projection"][k], given["vectors"][q]) + p["shift"][k] for k in range(2)]
        both = [p["models"][m][k] * seen[k] for k in range(2)]
        return [dot(p["classifier"][c], both) + p["bias"][c] for c in range(2)]

    def plain(p: Parts) -> Any:
        def margin(q: int, m: int) -> Any:
            wrong, right = logits(p, q, m)
            return right - wrong

        return mean_over_known(margin, given)

    check(lambda p: router.loss(p, tensors(given)), plain, parts)
    router.parts = parts
    wrong, right = logits(parts, 2, 1)
    expected = np.exp(right) / (np.exp(right) + np.exp(wrong))
    assert router.expected(given["vectors"])[2, 1] == pytest.approx(expected, abs=1e-9)


def test_irt() -> None:
    router = new("irt", "IRT", abilities=2)
    rng, given = np.random.default_rng(2), data(1)
    parts = {
        "abilities": rng.normal(size=(M, 2)),
        "discrimination": rng.normal(size=(2, D)),
        "shift": rng.normal(size=2),
        "difficulty": rng.normal(size=D),
        "offset": rng.normal(size=1),
    }

    def logit(p: Parts, q: int, m: int) -> Any:
        x = given["vectors"][q]
        asked = [
            np.log(1 + np.exp(dot(p["discrimination"][k], x) + p["shift"][k])) for k in range(2)
        ]
        return dot(asked, p["abilities"][m]) - dot(p["difficulty"], x) - p["offset"][0]

    check(
        lambda p: router.loss(p, tensors(given)),
        lambda p: mean_over_known(lambda q, m: logit(p, q, m), given),
        parts,
    )
    router.parts = parts
    expected = 1 / (1 + np.exp(-logit(parts, 3, 2)))
    assert router.expected(given["vectors"])[3, 2] == pytest.approx(expected, abs=1e-9)


def test_carrot() -> None:
    router = new("carrot", "Carrot", hidden=3)
    rng, given = np.random.default_rng(3), data(2)
    given["costs"] = rng.random((N, M))
    given["priced"] = (rng.random((N, M)) < 0.8).astype(float)
    parts = {
        "hidden": rng.normal(size=(3, D)),
        "shift": rng.normal(size=3),
        "output": rng.normal(size=(2 * M, 3)),
        "bias": rng.normal(size=2 * M),
    }

    def out(p: Parts, q: int, place: int) -> Any:
        raw = [dot(p["hidden"][k], given["vectors"][q]) + p["shift"][k] for k in range(3)]
        hidden = [value if np.real(value) > 0 else 0 * value for value in raw]
        return dot(p["output"][place], hidden) + p["bias"][place]

    def plain(p: Parts) -> Any:
        off, count = 0.0 + 0j, 0
        for q in range(N):
            for m in range(M):
                if given["priced"][q, m]:
                    off += (out(p, q, M + m) - given["costs"][q, m]) ** 2
                    count += 1
        return mean_over_known(lambda q, m: out(p, q, m), given) + off / count

    check(lambda p: router.loss(p, tensors(given)), plain, parts)
    router.parts, router.columns = parts, np.arange(M)
    assert router.cost(given["vectors"])[1, 3] == pytest.approx(out(parts, 1, M + 3), abs=1e-9)
    expected = 1 / (1 + np.exp(-out(parts, 1, 3)))
    assert router.expected(given["vectors"])[1, 3] == pytest.approx(expected, abs=1e-9)


def test_router_dc() -> None:
    router = new("router_dc", "RouterDC", hidden=3, embedding=2, temperature=0.5, sample_weight=0.7)
    rng, given = np.random.default_rng(4), data(3)
    given["better"] = np.array(
        [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [1] * 4], float
    )
    given["worse"] = np.array(
        [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0] * 4], float
    )
    given["friend"], given["strangers"] = rng.normal(size=(N, D)), rng.normal(size=(N, 2, D))
    parts = {
        "hidden": rng.normal(size=(3, D)),
        "shift": rng.normal(size=3),
        "output": rng.normal(size=(2, 3)),
        "level": rng.normal(size=2),
        "models": rng.normal(size=(M, 2)),
    }

    def embed(p: Parts, x: Any) -> list[Any]:
        raw = [dot(p["hidden"][k], x) + p["shift"][k] for k in range(3)]
        hidden = [value if np.real(value) > 0 else 0 * value for value in raw]
        return [dot(p["output"][k], hidden) + p["level"][k] for k in range(2)]

    def near(left: Any, right: Any) -> Any:
        return dot(left, right) / np.sqrt(dot(left, left) * dot(right, right)) / 0.5

    def plain(p: Parts) -> Any:
        model_loss, count, sample_loss = 0.0 + 0j, 0, 0.0 + 0j
        for q in range(N):
            own = embed(p, given["vectors"][q])
            worse = [m for m in range(M) if given["worse"][q, m]]
            for m in range(M):
                if given["better"][q, m] and worse:
                    mine = np.exp(near(own, p["models"][m]))
                    others = sum(np.exp(near(own, p["models"][w])) for w in worse)
                    model_loss -= np.log(mine / (mine + others))
                    count += 1
            friend = np.exp(near(own, embed(p, given["friend"][q])))
            far = sum(np.exp(near(own, embed(p, one))) for one in given["strangers"][q])
            sample_loss -= np.log(friend / (friend + far))
        return model_loss / count + 0.7 * sample_loss / N

    check(lambda p: router.loss(p, tensors(given)), plain, parts)
    router.parts = parts
    expected = near(embed(parts, given["vectors"][1]), parts["models"][2])
    assert router.ranking(given["vectors"])[1, 2] == pytest.approx(expected, abs=1e-9)


def test_p2l() -> None:
    router = new("p2l", "P2L")
    rng, given = np.random.default_rng(5), data(4)
    parts = {"weights": rng.normal(size=(M, D)), "bias": rng.normal(size=M), "tie": np.zeros(1)}

    def plain(p: Parts) -> Any:
        width, total, count = 1 + np.log(1 + np.exp(p["tie"][0])), 0.0 + 0j, 0
        for q in range(N):
            pi = [
                np.exp(dot(p["weights"][m], given["vectors"][q]) + p["bias"][m]) for m in range(M)
            ]
            for a in range(M):
                for b in range(a + 1, M):
                    if not (given["known"][q, a] and given["known"][q, b]):
                        continue
                    first = pi[a] / (pi[a] + width * pi[b] + 1)
                    second = pi[b] / (pi[b] + width * pi[a] + 1)
                    bad = 1 / (1 + pi[a] + pi[b])
                    chance = {(1, 0): first, (0, 1): second, (0, 0): bad}
                    chance[1, 1] = 1 - first - second - bad
                    seen = (int(given["targets"][q, a]), int(given["targets"][q, b]))
                    total -= np.log(chance[seen])
                    count += 1
        return total / count

    check(lambda p: router.loss(p, tensors(given)), plain, parts)


@pytest.mark.slow  # for what torch-geometric imports
def test_graph_router() -> None:
    pytest.importorskip("torch_geometric")
    import torch

    from routebench_routers.published.networks.descent import cross_entropy
    from routebench_routers.published.networks.graph_network import EdgePredictor, edges_of

    given, hidden = data(5), 2
    rng = np.random.default_rng(6)
    shown = rng.random((N, M)) < 0.6
    features = rng.random((N, M, 3))
    torch.manual_seed(0)
    network = EdgePredictor(D, M, hidden).double()
    parts = {n: p.detach().numpy().copy() + 0.1 for n, p in network.named_parameters()}
    aimed = given["known"] * ~shown

    def mine(p: Parts) -> Any:
        ready = tensors(given)
        visible = torch.tensor(shown)
        edges, places = edges_of(ready["known"] > 0, visible)
        told = torch.tensor(features)[places[:, 0], places[:, 1]]

        def whole(vectors: Any) -> Any:
            return network.logits(vectors, network.states(vectors, edges, told))

        network.forward = whole  # type: ignore[method-assign]
        logits = torch.func.functional_call(network, p, (ready["vectors"],))
        return cross_entropy(logits, ready["targets"], torch.tensor(aimed))

    def relu(value: Any) -> Any:
        return value if np.real(value) > 0 else 0 * value

    def row(weight: Any, bias: Any, x: Any) -> list[Any]:
        return [dot(w, x) + b for w, b in zip(weight, bias, strict=True)]

    def convolved(p: Parts, name: str, nodes: list[Any]) -> list[Any]:
        heard: list[list[Any]] = [[] for _ in nodes]
        for q in range(N):
            for m in range(M):
                if given["known"][q, m] and shown[q, m]:
                    edge = [relu(v) for v in row(p["edge.weight"], p["edge.bias"], features[q, m])]
                    for source, target in ((q, N + m), (N + m, q)):
                        said = row(
                            p[f"{name}.lin_msg.weight"], p[f"{name}.lin_msg.bias"], nodes[source]
                        )
                        more = row(p[f"{name}.lin_edge.weight"], p[f"{name}.lin_edge.bias"], edge)
                        heard[target].append([a + b for a, b in zip(said, more, strict=True)])
        return [
            [own[k] + (sum(one[k] for one in got) / len(got) if got else 0) for k in range(hidden)]
            for own, got in zip(nodes, heard, strict=True)
        ]

    def normalised(p: Parts, number: int, nodes: list[Any]) -> list[Any]:
        count, result = len(nodes), [[0j] * hidden for _ in nodes]
        for k in range(hidden):
            mean = sum(node[k] for node in nodes) / count
            spread = sum((node[k] - mean) ** 2 for node in nodes) / count
            for i, node in enumerate(nodes):
                scaled = (node[k] - mean) / np.sqrt(spread + 1e-5)
                result[i][k] = (
                    p[f"norms.{number}.weight"][k] * scaled + p[f"norms.{number}.bias"][k]
                )
        return result

    def plain(p: Parts) -> Any:
        aligned = [row(p["align.weight"], p["align.bias"], x) for x in given["vectors"]]
        nodes = [*aligned, *p["models"]]
        nodes = [[relu(v) for v in node] for node in normalised(p, 0, convolved(p, "first", nodes))]
        states = normalised(p, 1, convolved(p, "second", nodes))[N:]
        total, count = 0.0 + 0j, 0
        for q in range(N):
            for m in range(M):
                if aimed[q, m]:
                    logit = dot(aligned[q], states[m]) / hidden
                    total += log_loss(logit, given["targets"][q, m])
                    count += 1
        return total / count

    check(mine, plain, parts)


def test_avengers_pro() -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(40, D))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres, labels = kmeans(vectors, 4, 3, 0)
    # Its loss is that of k-means, whose gradient at the centres is nothing.
    for c, centre in enumerate(centres):
        own = [vector for vector, label in zip(vectors, labels, strict=True) if label == c]
        slope = [sum(2 * (centre[k] - one[k]) for one in own) for k in range(D)]
        np.testing.assert_allclose(slope, 0, atol=1e-9)
    distances = [[sum((v - c) ** 2) for c in centres] for v in vectors]
    assert [int(np.argmin(each)) for each in distances] == labels.tolist()
    from sklearn.cluster import KMeans

    inertia = KMeans(4, n_init=3, tol=0.0, random_state=0).fit(vectors).inertia_
    assert sum(min(each) for each in distances) == pytest.approx(inertia, abs=1e-9)
    means, prices = rng.random((4, M)), rng.random((4, M))
    asked = rng.normal(size=(6, D))
    found = cluster_weights(asked, centres, 2, 9.0) @ votes_of(means, prices, 0.7)
    for q, x in enumerate(asked):
        distance = [1 - dot(x, c) / np.sqrt(dot(x, x) * dot(c, c)) for c in centres]
        near = sorted(range(4), key=lambda c: distance[c])[:2]
        share = [np.exp(-9.0 * distance[c]) for c in near]
        for m in range(M):
            vote = 0.0
            for weight, c in zip(share, near, strict=True):
                p = (means[c][m] - min(means[c])) / (max(means[c]) - min(means[c]))
                vote += weight / sum(share) * (0.7 * p + 0.3 * (1 - prices[c][m]))
            assert found[q, m] == pytest.approx(vote, abs=1e-9)
