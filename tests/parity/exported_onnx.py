"""Runs exported ONNX files, which must pass ONNX's own checker, with onnxruntime: `exported_onnx.py FOLDER`. Prints the
largest difference of each case (see `exported_cases.py`) as JSON.
"""

import json
import sys
from pathlib import Path

import onnx
import onnxruntime

from exported_cases import difference, differences


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


def run(path):
    check(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return difference(path, lambda arrays: session.run(None, arrays)[0])


if __name__ == "__main__":
    print(json.dumps(differences(Path(sys.argv[1]), "onnx", run)))
