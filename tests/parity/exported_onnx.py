"""Runs exported ONNX files with onnxruntime: `exported_onnx.py FOLDER`. Beside each `FOLDER/<case>.onnx`, which must pass
ONNX's own checker, lie `<case>.<i>.npz` with the inputs by name and this program's `answer`. Prints the largest difference
of each case as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def is_named(value, fixed):
    """Whether all sizes of an input or output but those at the places `fixed` are names."""
    dims = value.type.tensor_type.shape.dim
    return all(bool(dim.dim_param) != (i in fixed) for i, dim in enumerate(dims))


def check(path):
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    reads_images = [value.name for value in model.graph.input] == ["image"]
    inputs, (output,) = model.graph.input, model.graph.output
    assert all(is_named(value, [1]) for value in inputs), path
    assert is_named(output, [1] if reads_images else [1, 2, 3]), path
    onnx.shape_inference.infer_shapes(model, strict_mode=True)


def difference(path):
    check(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    cases = sorted(path.parent.glob(f"{path.stem}.*.npz"))
    assert len(cases) == 3, path
    for case in cases:
        arrays = dict(np.load(case))
        expected = arrays.pop("answer")
        (answer,) = session.run(None, arrays)
        assert answer.shape == expected.shape, case
        largest = max(largest, float(np.abs(answer - expected).max()))
    return largest


if __name__ == "__main__":
    print(json.dumps({path.stem: difference(path) for path in sorted(Path(sys.argv[1]).glob("*.onnx"))}))
