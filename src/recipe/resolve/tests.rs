use super::*;
use crate::recipe::PRESETS;

/// Where a model was sent from must not learn who opens it.
#[test]
fn a_recipe_at_hand_extends_nothing() {
    for parent in ["https://localhost:1/r.yaml", "cyclegan", "./r.yaml"] {
        let text = from_yaml("m.safetensors", &format!("extends: {parent}\n"), &[]).unwrap_err().to_string();
        let expected = format!("`extends` is `{parent}`; a recipe that a model or a run holds is complete");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn every_preset_resolves_to_itself() {
    for preset in PRESETS {
        let recipe = resolve(preset.name, &[]).unwrap();
        assert!(!recipe.about.is_empty(), "{}", preset.name);
        let again = from_yaml("again", &to_yaml(&recipe).unwrap(), &[]).unwrap();
        assert_eq!(recipe, again, "{}", preset.name);
    }
}

#[test]
fn set_changes_the_field_and_nothing_else() {
    let mut expected = resolve("cyclegan", &[]).unwrap();
    expected.train.batch = 7;
    expected.optim.betas = [0.0, 0.9];
    let sets = ["train.batch=7".to_string(), "optim.betas=[0.0, 0.9]".to_string()];
    assert_eq!(resolve("cyclegan", &sets).unwrap(), expected);
}

fn message(sets: &[&str]) -> String {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    resolve("cyclegan", &sets).unwrap_err().to_string()
}

#[test]
fn mistakes_name_the_field_the_value_and_the_next_step() {
    let unknown = message(&["train.bach=7"]);
    assert!(unknown.contains("train.bach") || unknown.contains("`bach`"), "{unknown}");
    assert!(unknown.contains("did you mean `batch`?"), "{unknown}");
    let nested = message(&["generators.x_to_y.net.block=3"]);
    assert!(
        nested.contains("generators.x_to_y.net") && nested.contains("did you mean `blocks`?"),
        "{nested}"
    );
    let kind = message(&["loss.adversarial.kind=lsgann"]);
    assert!(kind.contains("loss.adversarial") && kind.contains("\nhint: write `lsgan`"), "{kind}");
    assert_eq!(
        message(&["data.flip=false", "train.batch=many", "train.seed=3"]),
        "`train.batch` is the text `many`; expected a whole number from 0
  |
1 | --set train.batch=many
  |                   ^^^^
hint: `translate recipe show cyclegan --resolved` is a complete recipe to compare with"
    );
    assert!(
        message(&["generators.x_to_y.net.blocks=1_0"])
            .ends_with("^^^\nhint: write `10`: YAML reads `1_0` as a text")
    );
    assert!(
        message(&["train.batch=5000"])
            .contains("`train.batch` is `5000`; expected 1 to 4096 at `data.size` 256")
    );
    for field in ["cycle", "identity", "paired", "r1"] {
        let text = message(&[&format!("loss.{field}=.inf")]);
        assert!(
            text.contains(&format!("`loss.{field}` is `inf`; expected a finite number from 0")),
            "{text}"
        );
    }
    let penalty = message(&["loss.adversarial.kind=wgan-gp", "loss.adversarial.penalty=.inf"]);
    assert!(penalty.contains("`loss.adversarial.penalty` is `inf`; expected a finite"), "{penalty}");
    for count in [0, 65, 1_000_000_000] {
        let text = message(&[&format!("sample.count={count}")]);
        assert!(text.contains(&format!("`sample.count` is `{count}`; expected 1 to 64")), "{text}");
    }
    assert!(message(&["train.batch"]).contains("there is no `=`"));
    assert!(message(&[&format!("{}a=1", "a.".repeat(9999))]).contains("the field's path has too many parts"));
    assert!(message(&["data.size=250"]).contains("a multiple of 4"));
    assert_eq!(
        message(&["data.size=512"]),
        "`data.load_size` is `286`; expected from `data.size` (512) to 8192
 --> cyclegan:7:31
  |
7 | data: { size: 256, load_size: 286, resize: stretch, flip: true }
  |                               ^^^
hint: `cyclegan` is shipped: lay another value over it, as in `--set data.load_size=512`"
    );
    assert!(message(&["format=2"]).contains("`format` is `2`"));
    let penalty = message(&["loss.adversarial.kind=wgan-gp", "discriminators.y.net.norm=batch"]);
    assert!(
        penalty.contains("`discriminators.y.net.norm` is `batch`; expected `instance` or `none`"),
        "{penalty}"
    );
    assert!(
        message(&["loss.adversarial.kind=wgan", "loss.adversarial.clip=0"])
            .contains("a finite number above 0")
    );
    assert!(message(&["train.critic_steps=0"]).contains("`train.critic_steps` is `0`; expected at least 1"));
    // Another kind leaves no field of the one before behind, and takes its own from a later `--set`.
    for (name, sets) in [
        ("wgan", ["loss.adversarial.kind=hinge", "train.batch=8"]),
        ("cyclegan-wgan-gp", ["loss.adversarial.kind=wgan", "loss.adversarial.clip=0.05"]),
        ("cyclegan-wgan-gp", ["discriminators.x.net.kind=pixel", "discriminators.x.net.width=8"]),
    ] {
        resolve(name, &sets.map(String::from)).unwrap();
    }
    let same = ["loss.adversarial.kind=wgan-gp".to_string()];
    assert_eq!(resolve("wgan-gp", &same).unwrap(), resolve("wgan-gp", &[]).unwrap());
    let extra = message(&["loss.adversarial.slope=3"]);
    assert!(extra.contains("slope"), "{extra}");
}

/// Serde's own words are for those who write Rust.
#[test]
fn a_value_of_another_kind_is_told_in_plain_words() {
    let jargon = ["usize", "u32", "u64", "i64", "f64", "struct", "enum", "variant", "unit value", "invalid"];
    for set in [
        "data=3",
        "data=",
        "data=[1]",
        "data.size=big",
        "data.size=-4",
        "data.size=64.5",
        "data.flip=yes",
        "data.flip=1",
        "data.resize=3",
        "data.resize=[stretch]",
        "data.resize=",
        "about=[1]",
        "about=3",
        "conditions=3",
        "conditions.x=3",
        "conditions.x.kind=3",
        "conditions.w.kind=label",
        "generators=[1]",
        "generators.x_to_y=resnet",
        "generators.x_to_y.from=3",
        "generators.x_to_y.from=",
        "generators.x_to_y.net=resnet",
        "generators.x_to_y.net.kind=3",
        "generators.x_to_y.net.width=wide",
        "generators.x_to_y.net.norm=3",
        "discriminators.x.augment=color",
        "discriminators.x.augment=[3]",
        "loss.adversarial=lsgan",
        "loss.adversarial.kind=",
        "loss.cycle=ten",
        "loss.pool=1e2",
        "optim.betas=0.5",
        "optim.betas=[0.5]",
        "optim.betas=[0.5, 0.9, 0.9]",
        "optim.lr=",
        "train.images=1_000",
        "model.precision=16",
    ] {
        let text = message(&[set]);
        assert!(text.contains(&format!("1 | --set {set}\n")) && text.contains("\nhint: "), "{text}");
        let said = text.split("\nhint").next().unwrap_or_default().to_lowercase();
        assert!(jargon.iter().all(|word| !said.contains(word)), "{text}");
    }
    assert!(message(&["train.images=9999999999999999999999"]).contains("from 0 to 9223372036854775807"));
    assert!(message(&["train.images=1_000"]).ends_with("hint: write `1000`: YAML reads `1_000` as a text"));
    let yaml = Origin::named("cyclegan").unwrap().into_text().replace("pool: 50", "pool: 5_0");
    let text = from_yaml("mine.yaml", &yaml, &["train.seed=1".to_string()]).unwrap_err().to_string();
    assert_eq!(
        text,
        "`loss.pool` is the text `5_0`; expected a whole number from 0
  --> mine.yaml:14:71
   |
14 | loss: { adversarial: { kind: lsgan }, cycle: 10, identity: 0.5, pool: 5_0 }
   |                                                                       ^^^
hint: write `50`: YAML reads `5_0` as a text"
    );
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let text = resolve("cyclegan-smal", &[]).unwrap_err().to_string();
    assert!(text.contains("`cyclegan-128`") && text.contains("did you mean `cyclegan-small`?"), "{text}");
    for name in ["cyclegan-smal", "zebra"] {
        let text = resolve(name, &[]).unwrap_err().to_string();
        assert!(text.ends_with("hint: `translate recipe list` says what each is for"), "{text}");
    }
}

#[test]
fn a_graph_that_does_not_close_is_refused() {
    let yaml = Origin::named("cyclegan").unwrap().into_text();
    let mut tree: serde_yaml::Value = serde_yaml::from_str(&yaml).unwrap();
    tree["generators"].as_mapping_mut().unwrap().remove("y_to_x");
    let text = from_yaml("cut", &serde_yaml::to_string(&tree).unwrap(), &[]).unwrap_err().to_string();
    assert!(text.contains("discriminators.x"), "{text}");
    tree["discriminators"].as_mapping_mut().unwrap().remove("x");
    let text = from_yaml("cut", &serde_yaml::to_string(&tree).unwrap(), &[]).unwrap_err().to_string();
    assert!(text.contains("loss.cycle"), "{text}");
    let sets = ["loss.cycle=0".to_string(), "loss.identity=0".to_string()];
    let recipe = from_yaml("cut", &serde_yaml::to_string(&tree).unwrap(), &sets).unwrap();
    assert_eq!(recipe.generators.len(), 1);
}
