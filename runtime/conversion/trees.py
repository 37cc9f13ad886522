"""scikit-learn's trees as one ONNX node, exactly.

The public converters round double thresholds to the nearest float32, so a row that lies on one
takes the other branch; they know nothing of where a forest sends missing values, and fail on
histogram boosting's category splits. Here a threshold becomes the largest float32 that is not
above it: for float32 inputs `x <= threshold` then answers as it did, for every x there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
OPSET, ML_OPSET, IR_VERSION = 17, 3, 9
LEAF, AT_MOST, EQUALS = range(3)
MODES = (b"LEAF", b"BRANCH_LEQ", b"BRANCH_EQ")


class NoConverterError(Exception):
    """There is no ONNX form of this model. The message says why."""


def floor32(values: Any) -> Floats:
    """The largest float32 not above each value."""
    exact = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > exact, below, near).astype(np.float32)


@dataclass
class Forest:
    """Trees being gathered. Leaves add `weights` to `targets`; `count` is how many trees."""

    target_count: int
    count: int = 0
    pieces: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)

    def add(self, **columns: npt.NDArray[Any]) -> None:
        for name, values in columns.items():
            self.pieces.setdefault(name, []).append(values)

    def take(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Each attribute of the ONNX node, whole; given once, as a large forest has millions."""
        while self.pieces:
            name, arrays = self.pieces.popitem()
            yield name, np.concatenate(arrays)

    def add_tree(
        self,
        *,
        left: npt.NDArray[Any],
        right: npt.NDArray[Any],
        feature: npt.NDArray[Any],
        threshold: Any,
        modes: npt.NDArray[Any],
        missing_left: npt.NDArray[Any],
    ) -> None:
        """A tree's nodes, numbered from 0 in order; its leaves are told by `add_leaves`."""
        size = len(modes)
        self.add(
            nodes_treeids=np.full(size, self.count),
            nodes_nodeids=np.arange(size),
            nodes_featureids=feature,
            nodes_modes=modes,
            nodes_values=floor32(threshold),
            nodes_truenodeids=left,
            nodes_falsenodeids=right,
            nodes_missing_value_tracks_true=missing_left,
        )
        self.count += 1

    def add_leaves(self, nodes: npt.NDArray[Any], target: int, weights: Any) -> None:
        """What leaves of the tree added last give to one target."""
        self.add(
            target_treeids=np.full(len(nodes), self.count - 1),
            target_nodeids=nodes,
            target_ids=np.full(len(nodes), target),
            target_weights=np.asarray(weights, dtype=np.float32),
        )


def forest_of(estimator: Any, *, is_classifier: bool) -> Forest:
    """A random forest's trees; leaves hold shares (or values) that are summed, then divided by
    the number of trees: sums of whole shares stay exact, and so do ties."""
    classes = len(estimator.classes_) if is_classifier else 1
    if estimator.n_outputs_ != 1:
        raise NoConverterError("It has more than one output.")
    # With two classes the first one's share is what is left of the second's.
    targets = range(1, 2) if classes == 2 else range(classes)
    forest = Forest(len(targets))
    for each in estimator.estimators_:
        tree = each.tree_
        is_leaf = tree.children_left < 0
        leaves = np.flatnonzero(is_leaf)
        forest.add_tree(
            left=np.where(is_leaf, 0, tree.children_left),
            right=np.where(is_leaf, 0, tree.children_right),
            feature=np.where(is_leaf, 0, tree.feature),
            threshold=np.where(is_leaf, 0.0, tree.threshold),
            modes=np.where(is_leaf, LEAF, AT_MOST),
            missing_left=np.where(is_leaf, 0, np.asarray(tree.missing_go_to_left)).astype(int),
        )
        for place, target in enumerate(targets):
            forest.add_leaves(leaves, place, tree.value[leaves, 0, target])
    return forest


def boosting_of(estimator: Any) -> Forest:
    """Histogram gradient boosting's trees; leaves hold what is summed to the raw prediction."""
    columns = _Columns(estimator)
    forest = Forest(estimator.n_trees_per_iteration_)
    for stage in estimator._predictors:
        for target, predictor in enumerate(stage):
            _add_predictor(forest, predictor, target, columns)
    return forest


class _Columns:
    """Which of the model's inputs, and which of its values, boosting's inner columns stand for:
    with categories, it orders and numbers them anew for itself."""

    def __init__(self, estimator: Any) -> None:
        width = estimator.n_features_in_
        self.places = list(range(width))
        self.values: dict[int, list[float]] = {}
        if estimator._preprocessor is None:
            return
        is_category = np.asarray(estimator._is_categorical_remapped, dtype=bool)
        if estimator.is_categorical_ is not None:
            known = np.asarray(estimator.is_categorical_, dtype=bool)
            self.places = [*np.flatnonzero(known).tolist(), *np.flatnonzero(~known).tolist()]
        encoder = estimator._preprocessor.named_transformers_["encoder"]
        for inner, categories in zip(np.flatnonzero(is_category), encoder.categories_, strict=True):
            self.values[int(inner)] = [float(each) for each in categories]


def _add_predictor(forest: Forest, predictor: Any, target: int, columns: _Columns) -> None:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    is_category = nodes["is_categorical"].astype(bool) & ~is_leaf
    places = np.asarray(columns.places)
    table = {
        "left": np.where(is_leaf, 0, nodes["left"]).tolist(),
        "right": np.where(is_leaf, 0, nodes["right"]).tolist(),
        "feature": np.where(is_leaf, 0, places[nodes["feature_idx"]]).tolist(),
        "threshold": np.where(is_leaf | is_category, 0.0, nodes["num_threshold"]).tolist(),
        "modes": np.where(is_leaf, LEAF, AT_MOST).tolist(),
        "missing_left": np.where(is_leaf, 0, nodes["missing_go_to_left"]).astype(int).tolist(),
    }
    for number in np.flatnonzero(is_category).tolist():
        _spell_out(table, number, nodes[number], predictor.raw_left_cat_bitsets, columns)
    forest.add_tree(**{name: np.asarray(each) for name, each in table.items()})
    leaves = np.flatnonzero(is_leaf)
    forest.add_leaves(leaves, target, nodes["value"][leaves])


def _spell_out(
    table: dict[str, list[Any]], number: int, node: Any, bitsets: Any, columns: _Columns
) -> None:
    """A split by a set of categories, as a chain of `equals` nodes. Unknown and missing values
    fall through the chain, so it lists the side they do not go to."""
    inner = int(node["feature_idx"])
    words = bitsets[node["bitset_idx"]]
    codes = columns.values.get(inner)
    if codes is None:
        raise NoConverterError("Its categories are not told apart by number.")
    is_left = [bool(words[code // 32] >> (code % 32) & 1) for code in range(len(codes))]
    falls_left = bool(node["missing_go_to_left"])
    listed = [value for value, goes in zip(codes, is_left, strict=True) if goes != falls_left]
    hit, miss = int(node["left"]), int(node["right"])
    if falls_left:
        hit, miss = miss, hit
    # Without a value to list, a value that never comes keeps the chain's one node.
    listed = listed or [float(np.finfo(np.float32).max)]
    spots = [number, *range(len(table["modes"]), len(table["modes"]) + len(listed) - 1)]
    for name in table:
        table[name] += [0] * (len(listed) - 1)
    for place, (spot, value) in enumerate(zip(spots, listed, strict=True)):
        table["left"][spot] = hit
        table["right"][spot] = spots[place + 1] if place + 1 < len(spots) else miss
        table["feature"][spot] = columns.places[inner]
        table["threshold"][spot] = value
        table["modes"][spot] = EQUALS
        table["missing_left"][spot] = 0
