"""From what a model says to what is answered: predictions, labels, probabilities."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from runtime.serving.packages import Raw


class Scored(NamedTuple):
    """A value for each row. `prediction` is the value, or the probability of the positive class
    (two classes) or of the predicted one; labels and probabilities only where there are classes."""

    predictions: list[float]
    labels: list[str] | None
    probabilities: list[list[float]] | None


class Reader:
    """Reads a model's raw answer by its signature."""

    def __init__(self, signature: Mapping[str, Any], task: str) -> None:
        self.classes = [str(each) for each in signature.get("classes") or ()]
        self.is_classification = task == "classification"
        positive = str(signature.get("positive") or (self.classes[-1] if self.classes else ""))
        self._positive = self.classes.index(positive) if positive in self.classes else 0
        self._is_binary = self.is_classification and len(self.classes) == 2

    def read(self, raw: Raw) -> Scored:
        if not self.is_classification:
            return Scored(raw.reshape(-1).tolist(), None, None)
        probabilities: list[list[float]] = raw.tolist()
        classes = self.classes
        if self._is_binary:
            place = self._positive
            if len(probabilities) == 1:
                (only,) = probabilities
                return Scored([only[place]], [classes[only[1] > only[0]]], probabilities)
            predictions = [each[place] for each in probabilities]
            labels = [classes[1] if each[1] > each[0] else classes[0] for each in probabilities]
            return Scored(predictions, labels, probabilities)
        best = [max(range(len(each)), key=each.__getitem__) for each in probabilities]
        predictions = [each[place] for each, place in zip(probabilities, best, strict=True)]
        return Scored(predictions, [classes[place] for place in best], probabilities)
