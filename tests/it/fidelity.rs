//! Precision, recall, density, coverage, diversity and near-duplicates against loops in `NumPy`
//! (`tests/parity/fidelity.py`).

use tch::Tensor;
use translate::eval::fidelity;

use crate::python;

#[test]
fn fidelity_agrees_with_numpy() {
    let Some(folder) = python::reference() else { return };
    let arrays = python::arrays(&folder.join("fidelity.npz"));
    let cases = arrays.keys().filter(|name| name.ends_with("_k")).count();
    assert!(cases > 0);
    for case in (0..cases).map(|i| format!("case{i}")) {
        let get = |name: &str| &arrays[&format!("{case}_{name}")];
        let (real, samples) = (get("real"), get("samples"));
        let got = fidelity(real, samples, get("k").int64_value(&[0]) as usize).unwrap();
        let expected: Vec<f64> = get("scores").try_into().unwrap();
        // Counts of points, as shares of how many there are.
        let [n, m] = [real, samples].map(|set: &Tensor| set.size()[0] as f64);
        let counts = [
            ("precision", got.precision, expected[0], m),
            ("recall", got.recall, expected[1], n),
            ("coverage", got.coverage, expected[3], n),
            ("near-duplicates", got.near_duplicates, expected[5], m),
        ];
        for (name, got, expected, of) in counts {
            assert!((got - expected).abs() * of < 1e-6, "{name} of {case}: {got}, expected {expected}");
        }
        for (name, got, expected) in
            [("density", got.density, expected[2]), ("diversity", got.diversity, expected[4])]
        {
            assert!((got - expected).abs() < 1e-6, "{name} of {case}: {got}, expected {expected}");
        }
    }
}
