"""What onnxruntime makes of inputs: `run.py MODEL INPUTS…`. Each INPUTS is an `.npz` of arrays by name; the answer goes
beside it as `.npy`. Ends with status 3 where there is no onnxruntime.
"""

import sys

try:
    import numpy as np
    import onnxruntime
except ImportError:
    sys.exit(3)

options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # errors
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
for path in sys.argv[2:]:
    (answer,) = session.run(None, dict(np.load(path)))
    np.save(path.removesuffix(".npz") + ".npy", answer)
