"""What exported programs make of inputs beside what this program does: beside each of them, `<case>.<ending>`, lie three
`<case>.<i>.npz` with the inputs by name and this program's `answer`.
"""

import numpy as np


def difference(path, run):
    """The largest difference, where `run` makes an answer of inputs by name."""
    cases = sorted(path.parent.glob(f"{path.stem}.*.npz"))
    assert len(cases) == 3, path
    largest = 0.0
    for case in cases:
        arrays = dict(np.load(case))
        expected = arrays.pop("answer")
        answer = run(arrays)
        assert answer.shape == expected.shape, case
        largest = max(largest, float(np.abs(answer - expected).max()))
    return largest


def differences(folder, ending, difference):
    """That of every program in the folder."""
    return {path.stem: difference(path) for path in sorted(folder.glob(f"*.{ending}"))}
