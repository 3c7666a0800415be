//! What other tools call the fields of a recipe, for those who bring their settings along.

/// What else has the meaning of a name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This field.
    Field(&'static str),
    /// This field, with what else has to be known.
    Changed(&'static str, &'static str),
    /// No field of a recipe.
    Elsewhere(&'static str),
}

use Meaning::{Changed, Elsewhere, Field};

/// Names in lower case with `_` between words; those of the reference `CycleGAN` (its `options/`) and of common training
/// programs.
const NAMES: &[(&str, Meaning)] = &[
    ("learning_rate", Field("optim.lr")),
    ("lr", Field("optim.lr")),
    ("beta1", Changed("optim.betas", "the first of two, as in `[0.5, 0.999]`")),
    ("beta2", Changed("optim.betas", "the second of two, as in `[0.5, 0.999]`")),
    ("betas", Field("optim.betas")),
    ("optimizer", Elsewhere("it is always Adam, with the fields of `optim`")),
    ("batch_size", Field("train.batch")),
    ("batchsize", Field("train.batch")),
    ("epochs", Changed("train.images", "images shown in all: epochs times the images of the larger folder")),
    (
        "n_epochs",
        Changed("train.images", "images shown in all: epochs times the images of the larger folder"),
    ),
    (
        "num_epochs",
        Changed("train.images", "images shown in all: epochs times the images of the larger folder"),
    ),
    ("niter", Changed("train.images", "images shown in all: epochs times the images of the larger folder")),
    ("steps", Changed("train.images", "images shown in all: steps times `train.batch`")),
    ("max_steps", Changed("train.images", "images shown in all: steps times `train.batch`")),
    ("iterations", Changed("train.images", "images shown in all: steps times `train.batch`")),
    (
        "n_epochs_decay",
        Changed("train.decay_after", "the part of `train.images` before the learning rate falls"),
    ),
    ("lr_policy", Changed("train.decay_after", "the part of `train.images` before the learning rate falls")),
    ("n_critic", Field("train.critic_steps")),
    ("critic_iters", Field("train.critic_steps")),
    ("seed", Field("train.seed")),
    ("ema_decay", Field("train.ema")),
    ("lambda_a", Changed("loss.cycle", "one weight for both directions")),
    ("lambda_b", Changed("loss.cycle", "one weight for both directions")),
    ("lambda_cycle", Field("loss.cycle")),
    ("lambda_cyc", Field("loss.cycle")),
    ("cycle_weight", Field("loss.cycle")),
    ("lambda_identity", Changed("loss.identity", "a fraction of `loss.cycle`")),
    ("lambda_idt", Changed("loss.identity", "a fraction of `loss.cycle`")),
    ("lambda_l1", Field("loss.paired")),
    ("lambda_gp", Field("loss.adversarial.penalty")),
    ("clip_value", Field("loss.adversarial.clip")),
    ("gan_mode", Field("loss.adversarial.kind")),
    ("gan_loss", Field("loss.adversarial.kind")),
    ("pool_size", Field("loss.pool")),
    ("load_size", Field("data.load_size")),
    ("loadsize", Field("data.load_size")),
    ("crop_size", Field("data.size")),
    ("image_size", Field("data.size")),
    ("img_size", Field("data.size")),
    ("resolution", Field("data.size")),
    ("no_flip", Changed("data.flip", "`true` mirrors half of the crops")),
    ("preprocess", Field("data.resize")),
    ("dataset_mode", Changed("data.paired", "`true` where the folders are aligned")),
    (
        "netg",
        Changed(
            "generators.NAME.net.kind",
            "one section a generator, as in `translate recipe show cyclegan`",
        ),
    ),
    (
        "netd",
        Changed(
            "discriminators.y.net.kind",
            "one section a discriminator, as in `translate recipe show cyclegan`",
        ),
    ),
    ("ngf", Field("generators.NAME.net.width")),
    ("ndf", Field("discriminators.y.net.width")),
    ("n_layers_d", Field("discriminators.y.net.layers")),
    ("n_layers", Field("discriminators.y.net.layers")),
    ("n_blocks", Field("generators.NAME.net.blocks")),
    ("norm", Changed("generators.NAME.net.norm", "and `discriminators.y.net.norm`")),
    ("no_dropout", Changed("generators.NAME.net.dropout", "`false` is the default")),
    ("nz", Field("generators.NAME.net.noise")),
    ("latent_dim", Field("generators.NAME.net.noise")),
    ("z_dim", Field("generators.NAME.net.noise")),
    ("save_epoch_freq", Changed("checkpoint.every", "in images")),
    ("save_latest_freq", Changed("checkpoint.every", "in images")),
    ("print_freq", Changed("log.every", "in images")),
    ("display_freq", Changed("sample.every", "in images")),
    (
        "dataroot",
        Elsewhere("folders are arguments of `translate train`, so that a recipe trains on anybody's"),
    ),
    (
        "data_root",
        Elsewhere("folders are arguments of `translate train`, so that a recipe trains on anybody's"),
    ),
    ("name", Elsewhere("`translate train --run DIR` names the run")),
    ("checkpoints_dir", Elsewhere("`translate train --run DIR` names the run")),
    ("output_dir", Elsewhere("`translate train --run DIR` names the run")),
    ("gpu_ids", Elsewhere("`translate train --device cuda:N` takes a GPU")),
    ("device", Elsewhere("`translate train --device` takes one")),
    ("num_threads", Elsewhere("`translate train --threads N` says how many read images")),
    ("num_workers", Elsewhere("`translate train --threads N` says how many read images")),
    ("workers", Elsewhere("`translate train --threads N` says how many read images")),
    ("direction", Elsewhere("a recipe names its arrows; `translate apply --to DOMAIN` takes one")),
    (
        "model",
        Elsewhere(
            "what is trained follows from `generators` and `loss`; `translate recipe list` shows whole recipes",
        ),
    ),
    ("input_nc", Elsewhere("images always have three channels")),
    ("output_nc", Elsewhere("images always have three channels")),
    ("continue_train", Elsewhere("the same `translate train` command goes on where the run stopped")),
    ("<<", Elsewhere("write the fields out, or into a recipe that this one `extends`")),
    ("description", Field("about")),
    ("version", Field("format")),
    ("parent", EXTENDS),
    ("base", EXTENDS),
    ("_base_", EXTENDS),
    ("inherit", EXTENDS),
    ("inherits", EXTENDS),
];

/// The recipe that another one is laid over.
pub const EXTENDS: Meaning = Field("extends");

/// What other tools call a value, its name here, and all that is to be written: the reference's `--gan_mode`, `--netG`,
/// `--netD`, `--norm` and `--preprocess`, and common words for the same.
const VALUES: &[(&str, &str, &str)] = &[
    // With the generator's −log σ(D(fake)), not the `minimax` of the paper's equation 1.
    ("vanilla", "non-saturating", "kind: non-saturating"),
    ("bce", "non-saturating", "kind: non-saturating"),
    ("nsgan", "non-saturating", "kind: non-saturating"),
    ("mse", "lsgan", "kind: lsgan"),
    ("ls", "lsgan", "kind: lsgan"),
    ("least_squares", "lsgan", "kind: lsgan"),
    ("wgangp", "wgan-gp", "kind: wgan-gp"),
    ("wgan_gp", "wgan-gp", "kind: wgan-gp"),
    ("resnet_9blocks", "resnet", "kind: resnet, blocks: 9"),
    ("resnet_6blocks", "resnet", "kind: resnet, blocks: 6"),
    ("unet_128", "unet", "kind: unet, downs: 7"),
    ("unet_256", "unet", "kind: unet, downs: 8"),
    ("basic", "patch", "kind: patch, layers: 3"),
    ("n_layers", "patch", "kind: patch, layers: 3"),
    ("patchgan", "patch", "kind: patch"),
    ("pixelgan", "pixel", "kind: pixel"),
    ("batch_norm", "batch", "batch"),
    ("batchnorm", "batch", "batch"),
    ("syncbatch", "batch", "batch"),
    ("instance_norm", "instance", "instance"),
    ("instancenorm", "instance", "instance"),
    ("resize_and_crop", "stretch", "stretch"),
    ("fp16", "f16", "f16"),
    ("float16", "f16", "f16"),
    ("half", "f16", "f16"),
    ("fp32", "f32", "f32"),
    ("float32", "f32", "f32"),
];

/// What to write here for a value of other tools, where it is one of those that are `known`; of any where none are.
pub fn value_meaning(value: &str, known: &[&str]) -> Option<&'static str> {
    let plain = plain(value);
    let fits = |name: &str| known.is_empty() || known.contains(&name);
    VALUES.iter().find(|(other, name, _)| *other == plain && fits(name)).map(|(_, _, written)| *written)
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// What a name that is no field here means elsewhere.
pub fn meaning(name: &str) -> Option<Meaning> {
    let plain = plain(name);
    NAMES.iter().find(|(known, _)| *known == plain).map(|(_, meaning)| *meaning)
}

impl Meaning {
    /// As advice on a section that has the fields `known`.
    pub fn advice(self, name: &str, known: &[&str]) -> String {
        match self {
            Field(field) => {
                let last = field.rsplit('.').next().unwrap_or(field);
                let field = if known.contains(&last) { last } else { field };
                format!("`{name}` is called `{field}` here")
            }
            Changed(field, how) => format!("`{name}` is `{field}` here: {how}"),
            Elsewhere(how) => format!("`{name}` is no field of a recipe: {how}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::recipe::json_schema::complete;
    use crate::recipe::resolve;

    /// All schemas that a part of a path leads to.
    fn below<'a>(root: &'a Value, schema: &'a Value, part: &str) -> Vec<&'a Value> {
        let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"));
        if let Some(pointer) = reference.and_then(Value::as_str).and_then(|text| text.strip_prefix('#')) {
            return below(root, root.pointer(pointer).unwrap(), part);
        }
        let own = schema.get("properties").and_then(|fields| fields.get(part));
        let any = schema.get("additionalProperties").filter(|rest| rest.is_object());
        let kinds = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let of_kinds = kinds.flat_map(|kind| below(root, kind, part));
        own.or(any).into_iter().chain(of_kinds).collect()
    }

    #[test]
    fn what_a_name_is_here_is_a_field_of_the_schema() {
        let root = complete();
        for (name, meaning) in NAMES {
            // It is taken out of the text before the schema is looked at.
            let (Field(path) | Changed(path, _)) = meaning else { continue };
            if *meaning == EXTENDS {
                continue;
            }
            let step =
                |found: Vec<_>, part| found.into_iter().flat_map(|it| below(&root, it, part)).collect();
            let found: Vec<&Value> = path.split('.').fold(vec![&root], step);
            assert!(!found.is_empty(), "`{name}` leads to `{path}`, which is no field");
        }
    }

    #[test]
    fn what_a_value_is_here_is_taken() {
        let fields = [
            ("cyclegan", "loss.adversarial"),
            ("cyclegan", "generators.x_to_y.net"),
            ("cyclegan", "discriminators.y.net"),
            ("cyclegan", "generators.x_to_y.net.norm"),
            ("cyclegan", "data.resize"),
            ("cyclegan", "model.precision"),
        ];
        for (other, _, written) in VALUES {
            let value =
                if written.starts_with("kind") { format!("{{ {written} }}") } else { (*written).into() };
            let tried = |(recipe, field): &(&str, &str)| {
                let text = resolve(recipe, &[format!("{field}={other}")]).unwrap_err().to_string();
                let told = text.contains(&format!("write `{value}`"))
                    || text.contains(&format!("is `{value}` here"));
                told && resolve(recipe, &[format!("{field}={value}")]).is_ok()
            };
            assert!(fields.iter().any(tried), "{other}");
        }
    }
}
