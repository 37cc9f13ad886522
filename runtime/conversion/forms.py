"""The ONNX form of a model: one float32 input `features` [N, F].

Classification gives `label`, the place of the likeliest class (int64 [N]; the first of equals),
and `probabilities` (float32 [N, C]); regression gives `variable` (float32 [N, 1]).
"""

import re
from typing import Any

import numpy as np

from runtime.conversion.trees import (
    IR_VERSION,
    ML_OPSET,
    MODES,
    OPSET,
    Forest,
    NoConverterError,
    boosting_of,
    floor32,
    forest_of,
)

INPUT = "features"
# `kZeroThreshold` of LightGBM.
ZERO = float(np.float32(1e-35))
# ONNX Runtime looks at every model itself; the library's own look copies it twice.
MAX_CHECKED_BYTES = 16 * 1024 * 1024


def to_onnx(estimator: Any, *, width: int, is_classifier: bool) -> bytes:
    """The model's ONNX form. Raise NoConverterError, or whatever a converter raises."""
    model = _converted(estimator, width, is_classifier)
    if not is_classifier:
        _widen(model)
    _finish(model, is_classifier)
    return bytes(model.SerializeToString())


def _converted(estimator: Any, width: int, is_classifier: bool) -> Any:
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.pipeline import Pipeline

    forests = (
        RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor,
    )  # fmt: skip
    boosting = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    if isinstance(estimator, Pipeline):
        last = estimator.steps[-1][1]
        if len(estimator.steps) == 1:
            return _converted(last, width, is_classifier)
        if isinstance(last, (*forests, *boosting)) or type(last).__module__.startswith("lightgbm."):
            return _joined(estimator, width, is_classifier)
    if isinstance(estimator, forests):
        forest = forest_of(estimator, is_classifier=is_classifier)
        return _graph(forest, width, _after_forest(forest, is_classifier))
    if isinstance(estimator, boosting):
        forest = boosting_of(estimator)
        return _graph(forest, width, _after_boosting(estimator, is_classifier))
    if type(estimator).__module__.startswith("lightgbm."):
        return _lightgbm(estimator, width)
    return _scikit(estimator, width, is_classifier)


def _joined(pipeline: Any, width: int, is_classifier: bool) -> Any:
    """What prepares the matrix, then the trees: two graphs made one."""
    from onnx import compose

    first = _scikit(pipeline[:-1], width, is_classifier=False)
    first = compose.add_prefix(first, "first_", rename_inputs=False)
    last = pipeline.steps[-1][1]
    second = compose.add_prefix(_converted(last, last.n_features_in_, is_classifier), "last_")
    for model in (first, second):
        model.ir_version = IR_VERSION
        del model.opset_import[:]
        model.opset_import.add(domain="", version=OPSET)
        model.opset_import.add(domain="ai.onnx.ml", version=ML_OPSET)
    seam = (first.graph.output[0].name, second.graph.input[0].name)
    return compose.merge_models(first, second, io_map=[seam])


def _scikit(estimator: Any, width: int, is_classifier: bool) -> Any:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    return convert_sklearn(
        estimator,
        initial_types=[(INPUT, FloatTensorType([None, width]))],
        options={"zipmap": False} if is_classifier else None,
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )


def _lightgbm(estimator: Any, width: int) -> Any:
    import copy

    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    exact = copy.copy(estimator)
    booster = estimator if isinstance(estimator, lightgbm.Booster) else estimator.booster_
    same = lightgbm.Booster(model_str=exact_thresholds(booster.model_to_string()))
    if isinstance(estimator, lightgbm.Booster):
        exact = same
    else:
        exact._Booster = same
    types = [(INPUT, FloatTensorType([None, width]))]
    return convert_lightgbm(exact, initial_types=types, zipmap=False, target_opset=15)


def exact_thresholds(text: str) -> str:
    """LightGBM's model with thresholds that float32 holds, and with missing values sent where
    they went: where a feature had none in training, a missing value counts as 0."""
    pieces = text.split("\nTree=")
    return "\nTree=".join([re.sub(r"\ntree_sizes=[^\n]*", "", pieces[0]), *map(_exact, pieces[1:])])


def _exact(tree: str) -> str:
    lines = tree.split("\n")
    found = {line.partition("=")[0]: place for place, line in enumerate(lines) if "=" in line}
    if "threshold" not in found or not (said := lines[found["threshold"]].partition("=")[2]):
        return tree
    kinds = [int(each) for each in lines[found["decision_type"]].partition("=")[2].split()]
    values = [float(each) for each in said.split()]
    for place, kind in enumerate(kinds):
        # Bit 0: by category. Bit 1: missing goes left. Bits 2 and 3: what counts as missing.
        if kind & 1:
            continue
        if kind >> 2 & 3 == 0:
            kinds[place] = 2 << 2 | (2 if values[place] >= 0 else 0)
        values[place] = _outside_zero(float(floor32(values[place])))
    lines[found["threshold"]] = "threshold=" + " ".join(repr(each) for each in values)
    lines[found["decision_type"]] = "decision_type=" + " ".join(map(str, kinds))
    return "\n".join(lines)


def _outside_zero(threshold: float) -> float:
    """LightGBM reads whatever is within `ZERO` of 0 as 0: so no threshold may part it from 0."""
    if -ZERO <= threshold < 0:
        return float(np.nextafter(np.float32(-ZERO), np.float32(-1)))
    return ZERO if 0 <= threshold < ZERO else threshold


def _after_forest(forest: Forest, is_classifier: bool) -> list[tuple[str, list[Any]]]:
    mean = ("Div", [np.float32(forest.count)])
    if not is_classifier:
        return [mean]
    return [mean, ("both", [])] if forest.target_count == 1 else [mean]


def _after_boosting(estimator: Any, is_classifier: bool) -> list[tuple[str, list[Any]]]:
    base = np.asarray(estimator._baseline_prediction, dtype=np.float32).reshape(1, -1)
    steps: list[tuple[str, list[Any]]] = [("Add", [base])]
    if is_classifier:
        is_binary = estimator.n_trees_per_iteration_ == 1
        return [*steps, ("Sigmoid", []), ("both", [])] if is_binary else [*steps, ("Softmax", [])]
    link = type(estimator._loss.link).__name__
    if link == "LogLink":
        return [*steps, ("Exp", [])]
    if link != "IdentityLink":
        raise NoConverterError(f"Its loss has a link that is not known here: {link}.")
    return steps


def _graph(forest: Forest, width: int, steps: list[tuple[str, list[Any]]]) -> Any:
    """The trees' sums, then `steps`: operators with the constants they take. "both" makes two
    classes' probabilities of the second one's."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [_trees(forest)]
    constants, last = [], "sums"
    for number, (name, values) in enumerate(steps):
        names = [f"constant_{number}_{place}" for place in range(len(values))]
        given = zip(names, values, strict=True)
        constants += [numpy_helper.from_array(np.asarray(value), each) for each, value in given]
        out = f"step_{number}"
        if name == "both":
            constants.append(numpy_helper.from_array(np.asarray(1, np.float32), "one"))
            nodes.append(helper.make_node("Sub", ["one", last], ["first"]))
            nodes.append(helper.make_node("Concat", ["first", last], [out], axis=1))
        else:
            nodes.append(helper.make_node(name, [last, *names], [out]))
        last = out
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, None])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _trees(forest: Forest) -> Any:
    """The node; its attributes are filled in here, as the library's own way takes gigabytes."""
    from onnx import AttributeProto, helper

    node = helper.make_node(
        "TreeEnsembleRegressor", [INPUT], ["sums"], domain="ai.onnx.ml",
        n_targets=forest.target_count,
    )  # fmt: skip
    for name, values in forest.take():
        attribute = node.attribute.add(name=name)
        if name == "nodes_modes":
            attribute.type = AttributeProto.STRINGS
            attribute.strings.extend([MODES[code] for code in values.tolist()])
        elif values.dtype == np.float32:
            attribute.type = AttributeProto.FLOATS
            attribute.floats.extend(values.tolist())
        else:
            attribute.type = AttributeProto.INTS
            attribute.ints.extend(values.tolist())
    return node


def _widen(model: Any) -> None:
    """Let trees add up a regression's values in float64, as the original does: a hundred float32
    additions lose more than the tolerance. What is compared stays what it was."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    for number, node in enumerate(nodes):
        wide = f"{node.input[0]}_wide_{number}"
        cast = helper.make_node("Cast", [node.input[0]], [wide], to=TensorProto.DOUBLE)
        node.input[0] = wide
        kept = [each for each in node.attribute if each.name != "nodes_hitrates"]
        attributes = []
        for each in kept:
            if each.name in ("nodes_values", "target_weights", "base_values"):
                values = numpy_helper.from_array(np.array(each.floats, np.float64), each.name)
                each = helper.make_attribute(f"{each.name}_as_tensor", values)
            attributes.append(each)
        del node.attribute[:]
        node.attribute.extend(attributes)
        model.graph.node.insert(list(model.graph.node).index(node), cast)
    if nodes:
        model.opset_import.add(domain="ai.onnx.ml", version=ML_OPSET)


def _finish(model: Any, is_classifier: bool) -> None:
    """Give the outputs the names, types and meaning that serving knows."""
    from onnx import TensorProto, checker, helper

    graph = model.graph
    # Converters put the label first, where there is one.
    last = graph.output[-1].name
    del graph.output[:]
    name = "probabilities" if is_classifier else "variable"
    if last != name:
        graph.node.append(helper.make_node("Identity", [last], [name]))
    if is_classifier:
        for node in graph.node:
            node.output[:] = ["their_label" if each == "label" else each for each in node.output]
            node.input[:] = ["their_label" if each == "label" else each for each in node.input]
        graph.node.append(helper.make_node("ArgMax", [name], ["label"], axis=1, keepdims=0))
        graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, [None]))
    width = None if is_classifier else 1
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width]))
    _once_each(model)
    if model.ByteSize() < MAX_CHECKED_BYTES:
        checker.check_model(model)


def _once_each(model: Any) -> None:
    """Converters may name an operator set twice, which ONNX forbids."""
    versions: dict[str, int] = {}
    for each in model.opset_import:
        versions[each.domain] = max(versions.get(each.domain, 0), each.version)
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)
