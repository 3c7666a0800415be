//! Every generator that a recipe can have, small, with weights of any value.

use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use translate::data::condition::{Conditions, Known, Vocabulary};
use translate::model::{About, Domains, Model, Notes, save};
use translate::nets::Graph;
use translate::recipe::{Space, resolve};

use crate::model::about;

/// Every network that reads images, with every option that changes what it computes.
pub fn translators() -> Vec<(&'static str, Value)> {
    let resnet = |more: Value| net(json!({ "kind": "resnet", "width": 8, "blocks": 2 }), &more);
    let unet = |more: Value| net(json!({ "kind": "unet", "width": 8, "downs": 5 }), &more);
    vec![
        ("resnet", resnet(json!({}))),
        ("resnet_batch_dropout", resnet(json!({ "norm": "batch", "dropout": true }))),
        ("resnet_untracked", resnet(json!({ "norm": "batch-untracked" }))),
        ("resnet_none", resnet(json!({ "norm": "none" }))),
        ("resnet_resize_skip", resnet(json!({ "upsample": "resize", "skip": true }))),
        ("resnet_blur", resnet(json!({ "upsample": "blur", "downsample": "blur" }))),
        ("unet", unet(json!({}))),
        ("unet_instance_dropout", unet(json!({ "downs": 6, "norm": "instance", "dropout": true }))),
        ("unet_untracked_resize", unet(json!({ "norm": "batch-untracked", "upsample": "resize" }))),
        ("unet_none_blur", unet(json!({ "downs": 3, "norm": "none", "upsample": "blur" }))),
        ("mobile", json!({ "kind": "mobile-resnet", "width": 8, "blocks": 3 })),
        ("mobile_uneven", json!({ "kind": "mobile-resnet", "width": 6, "blocks": 2, "up": [10, 7] })),
    ]
}

/// Those that draw from noise, each with and without classes.
fn samplers() -> Vec<(&'static str, Value, bool)> {
    let mut all = Vec::new();
    for classes in [false, true] {
        all.push(("dcgan", json!({ "kind": "dcgan", "noise": 12, "width": 8 }), classes));
        all.push(("residual", json!({ "kind": "residual", "noise": 12, "width": 8 }), classes));
        all.push((
            "dcgan_instance",
            json!({ "kind": "dcgan", "noise": 12, "width": 8, "norm": "instance" }),
            classes,
        ));
        all.push((
            "residual_none",
            json!({ "kind": "residual", "noise": 12, "width": 8, "norm": "none" }),
            classes,
        ));
    }
    all
}

fn net(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

/// Weights that keep the signals near unit size, so that no difference is lost in tanh, and statistics of any size.
fn randomise(graph: &Graph) {
    tch::manual_seed(3);
    tch::no_grad(|| {
        for (name, mut tensor) in graph.tensors() {
            let size = tensor.size();
            let like = Tensor::randn(&size, (Kind::Float, Device::Cpu));
            let last = name.rsplit('.').next().unwrap();
            tensor.copy_(&match (last, size.len()) {
                ("filt", _) => continue,
                ("running_var", _) => like.square() + 0.5,
                ("weight", 1) => like * 0.2 + 1,
                ("weight", dims) if dims > 1 => {
                    like * (1.5 / size[1..].iter().product::<i64>() as f64).sqrt()
                }
                _ => like * 0.2,
            });
        }
    });
}

/// A model of one generator to `y`: from `x`, or from noise.
fn model(recipe: &str, net: &Value, sets: &[&str], conditions: Conditions) -> Model {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let mut recipe = resolve(recipe, &sets).unwrap();
    for arrow in recipe.generators.values_mut() {
        arrow.net = serde_json::from_value(net.clone()).unwrap();
    }
    let graph = Graph::build_generators(&recipe, &conditions, Device::Cpu);
    randomise(&graph);
    let names = [(Space::X, "photos".to_string()), (Space::Y, "anime".to_string())];
    let domains: Domains = names.into_iter().filter(|(space, _)| recipe.spaces().contains(space)).collect();
    let training = about(Domains::new(), Conditions::new()).training;
    Model { recipe, domains, conditions, training, graph }
}

pub fn translator(net: &Value) -> Model {
    model("cyclegan", net, &[], Conditions::new())
}

pub fn sampler(net: &Value, classes: bool) -> Model {
    let size = "data.size=16";
    if !classes {
        return model("dcgan-tiny", net, &[size], Conditions::new());
    }
    let known = Known::Classes(["cat", "dog", "owl"].map(String::from).to_vec());
    model("cgan-tiny", net, &[size], Conditions::from([(Space::X, known)]))
}

/// Every model with its name, those from noise behind.
pub fn models() -> Vec<(String, Model)> {
    let translators = translators().into_iter().map(|(name, net)| (name.to_string(), translator(&net)));
    let samplers = samplers().into_iter().map(|(name, net, classes)| {
        (format!("{name}{}", if classes { "_classes" } else { "" }), sampler(&net, classes))
    });
    translators.chain(samplers).collect()
}

/// Those that read captions, by each encoder.
pub fn captioned() -> Vec<(&'static str, Model)> {
    let net = json!({ "kind": "dcgan", "noise": 12, "width": 8 });
    let captions = ["a red car", "a blue car by a tree"];
    let model = |recipe: &str, sets: &[&str]| {
        let known = Known::Words(Vocabulary::new(captions.into_iter()));
        let sets = [&["data.size=16"], sets].concat();
        model(recipe, &net, &sets, Conditions::from([(Space::X, known)]))
    };
    let encoder = |field: &str| format!("conditions.x.encoder.{field}");
    let width = encoder("width=8");
    let (words, inner) = (encoder("words=6"), encoder("feed_forward=12"));
    vec![
        ("gru", model("text-gan-tiny", &[&width, &words])),
        ("transformer", model("text-gan-transformer-tiny", &[&width, &inner])),
    ]
}

/// Writes the model's file.
pub fn write(model: &Model, path: &Path) {
    let Model { recipe, domains, conditions, training, graph } = model;
    let (domains, conditions, training) = (domains.clone(), conditions.clone(), training.clone());
    save(path, graph, recipe, &About { domains, conditions, training, notes: Notes::default() }).unwrap();
}
