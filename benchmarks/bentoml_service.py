"""The forest behind BentoML, as its documentation has it, for the benchmark ``serve``: in an environment of its own."""

import os

import bentoml  # type: ignore[import-not-found]
import numpy as np


@bentoml.service(workers=2)
class Forest:
    """Loads a model that was stored as data, and answers rows of features."""

    def __init__(self) -> None:
        import skops.io

        path = os.environ["BENCH_MODEL"]
        self.model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))

    @bentoml.api
    def predict(self, rows: list[list[float | None]]) -> list[float]:
        """Predict rows of features."""
        return self.model.predict(np.array(rows, dtype="float64")).tolist()
