//! Encoders of labels and captions against `PyTorch`'s (`tests/parity/encoders.py`) with the same weights: vectors,
//! gradients, and the gradients of those.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};
use translate::nets::encoder::{self, Encoder};

use crate::python;

const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    entries: i64,
    net: Value,
}

fn build(vars: &VarStore, case: &Case) -> Encoder {
    if case.net["kind"] == "label" {
        encoder::label(&vars.root(), case.entries, case.net["width"].as_i64().unwrap())
    } else {
        encoder::text(&vars.root(), &serde_json::from_value(case.net.clone()).unwrap(), case.entries)
    }
}

/// Compares with the array of that name; the difference is relative to the largest expected value.
fn assert_close(case: &Case, arrays: &HashMap<String, Tensor>, name: &str, got: &Tensor) {
    let expected = &arrays[name];
    assert_eq!(got.size(), expected.size(), "{}: {name}", case.name);
    let most = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    let off = most(&(got - expected)) / most(expected);
    assert!(off < TOLERANCE, "{}: {name} differs by {off:e}", case.name);
}

fn names_of<'a>(arrays: &'a HashMap<String, Tensor>, prefix: &str) -> Vec<&'a str> {
    arrays.keys().filter_map(|key| key.strip_prefix(prefix)).collect()
}

fn compare(case: &Case, arrays: &HashMap<String, Tensor>) {
    let vars = VarStore::new(Device::Cpu);
    let encoder = build(&vars, case);
    let weights = vars.variables();
    let names = names_of(arrays, "w.");
    assert_eq!(names.len(), weights.len(), "{}: as many weights as PyTorch", case.name);
    for name in &names {
        let mut weight = weights[*name].shallow_clone();
        tch::no_grad(|| weight.copy_(&arrays[&format!("w.{name}")]));
    }

    let ys = encoder.forward(&arrays["condition"]);
    assert_eq!(ys.size()[1], encoder.width());
    assert_close(case, arrays, "y", &ys);

    let by = |loss: &Tensor, names: &[&str], again: bool| {
        let weights: Vec<&Tensor> = names.iter().map(|name| &weights[*name]).collect();
        Tensor::run_backward(&[loss], &weights, again, again)
    };
    let gradients = by(&(&ys * &arrays["gy"]).sum(Kind::Float), &names, true);
    for (name, gradient) in names.iter().zip(&gradients) {
        assert_close(case, arrays, &format!("g.{name}"), gradient);
    }
    let twice = names_of(arrays, "gg.");
    if !twice.is_empty() {
        let squares: Vec<Tensor> = gradients.iter().map(|g| g.square().sum(Kind::Float)).collect();
        for (name, gradient) in
            twice.iter().zip(by(&Tensor::stack(&squares, 0).sum(Kind::Float), &twice, false))
        {
            assert_close(case, arrays, &format!("gg.{name}"), &gradient);
        }
    }
}

#[test]
fn encoders_agree_with_pytorch() {
    let Some(folder) = python::reference() else { return };
    let list = std::fs::read_to_string(folder.join("encoders.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&list).unwrap();
    assert!(cases.len() >= 6);
    for case in &cases {
        compare(case, &python::arrays(&folder.join(format!("encoder_{}.npz", case.name))));
    }
}
