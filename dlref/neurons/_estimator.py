"""What scikit-learn's tools ask of an estimator, without scikit-learn."""

import inspect
from typing import Any, TypeVar

import numpy as np

from dlref import _check

E = TypeVar("E", bound="Estimator")


class Estimator:
    """Settings by name, a score, and a repr that shows the settings.

    With these ``sklearn.base.clone``, ``cross_val_score`` and ``GridSearchCV`` work.
    """

    @classmethod
    def _settings(cls) -> dict[str, inspect.Parameter]:
        known = inspect.signature(cls).parameters
        return dict(known)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What the estimator was made with, by name."""
        del deep  # no setting is an estimator itself
        return {name: getattr(self, name) for name in self._settings()}

    def set_params(self: E, **params: Any) -> E:
        """Change settings; what was learned is forgotten."""
        for name in params:
            _check.one_of("params", name, list(self._settings()))
        type(self).__init__(self, **{**self.get_params(), **params})
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """Share of the examples whose class is predicted."""
        return float(np.mean(self.predict(X) == y))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not self._settings()[name].default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """For scikit-learn, which alone calls it: a classifier."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(),
        )
