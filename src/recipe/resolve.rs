//! From a name or a file and `--set` values to a complete, checked recipe.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::presets::PRESETS;
use super::schema::Recipe;
use super::validate::Invalid;
use super::wording::{Mistake, mistake};
use crate::words::quoted;

/// Why a recipe cannot be used. Each message names the recipe, the field and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Neither a shipped recipe nor a file.
    #[error(
        "no recipe `{name}`: it is neither a file nor one of {known}{closest}\nhint: `translate recipe list` says what \
         each is for"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The shipped names.
        known: String,
        /// `; did you mean …?`, or empty.
        closest: String,
    },
    /// A file that cannot be read.
    #[error(
        "cannot read recipe `{path}`: {source}\nhint: name a text file (UTF-8) that you can read, or one of `translate \
         recipe list`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Text that is not YAML.
    #[error("recipe `{name}` is not valid YAML: {source}")]
    Yaml {
        /// The recipe.
        name: String,
        /// What the parser says, with line and column.
        source: serde_yaml::Error,
    },
    /// A field that is unknown, missing or of a wrong type.
    #[error("recipe `{name}`, field `{field}`: {reason}\nhint: {hint}")]
    Field {
        /// The recipe.
        name: String,
        /// Dotted path of the field.
        field: String,
        /// What is wrong, with what was expected.
        reason: String,
        /// What to write, or where to look it up.
        hint: String,
    },
    /// The same of a value that a `--set` gave.
    #[error("`--set {given}`: {reason}\nhint: {hint}")]
    SetField {
        /// The argument.
        given: String,
        /// What is wrong, with what was expected.
        reason: String,
        /// What to write, or where to look it up.
        hint: String,
    },
    /// A value out of range or two that exclude each other.
    #[error("recipe `{name}`: {source}\nhint: {hint}")]
    Invalid {
        /// The recipe.
        name: String,
        /// Field, value and expectation.
        source: Box<Invalid>,
        /// What to write, or where to look it up.
        hint: String,
    },
    /// A `--set` that is not `field=value`.
    #[error("`--set {given}`: {reason}; expected `field.path=value`, for instance `train.batch=4`")]
    Set {
        /// The argument.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Finds the YAML text of a shipped recipe or a file.
///
/// # Errors
/// The name is neither, or the file cannot be read.
pub fn load(name: &str) -> Result<String, RecipeError> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
        return Ok(preset.yaml.to_string());
    }
    let path = Path::new(name);
    if path.is_file() {
        return std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: path.into(), source });
    }
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let closest = did_you_mean(name, &names);
    Err(RecipeError::Unknown { name: name.into(), known: quoted(names, ", "), closest })
}

/// Reads the recipe called `name` and lays `sets` (each `a.b=value`, the value in YAML) over it, in order.
///
/// # Errors
/// Anything that keeps the result from being a complete, valid recipe.
pub fn resolve(name: &str, sets: &[String]) -> Result<Recipe, RecipeError> {
    from_yaml(name, &load(name)?, sets)
}

/// As [`resolve`], for YAML text at hand; `name` is for messages.
///
/// # Errors
/// Anything that keeps the result from being a complete, valid recipe.
pub fn from_yaml(name: &str, yaml: &str, sets: &[String]) -> Result<Recipe, RecipeError> {
    let tree: Value =
        serde_yaml::from_str(yaml).map_err(|source| RecipeError::Yaml { name: name.into(), source })?;
    let recipe = read(&tree, sets)?.map_err(|misfit| explain(name, &tree, sets, misfit))?;
    let invalid = |source: Invalid| {
        let hint = hint(name, &recipe, sets, &source);
        RecipeError::Invalid { name: name.into(), source: source.into(), hint }
    };
    recipe.validate().map_err(invalid)?;
    Ok(recipe)
}

/// What to do about a value that does not fit.
fn hint(name: &str, recipe: &Recipe, sets: &[String], invalid: &Invalid) -> String {
    // Whoever asks for larger images means this too.
    if invalid.field == "data.load_size" && recipe.data.load_size < recipe.data.size {
        return format!("`--set data.load_size={}`", recipe.data.size);
    }
    // A recipe that is not valid by itself cannot be shown.
    let compare = if sets.is_empty() { COMPARE.to_string() } else { lookup(name) };
    format!("another `--set {}=…`; {compare}", invalid.field)
}

/// Where all fields can be seen.
const COMPARE: &str = "`translate recipe show cyclegan --resolved` is a complete recipe to compare with";

fn lookup(name: &str) -> String {
    format!("`translate recipe show {name} --resolved` shows every field with its value")
}

/// The recipe as YAML: complete and runnable.
///
/// # Errors
/// None in practice: a recipe holds only what YAML can.
pub fn to_yaml(recipe: &Recipe) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(recipe)
}

/// A field's path and what serde says of its value.
type Misfit = (String, String);

/// The recipe of `tree` with `sets` laid over it, or the first value that does not fit.
fn read(tree: &Value, sets: &[String]) -> Result<Result<Recipe, Misfit>, RecipeError> {
    let mut tree = tree.clone();
    for set in sets {
        apply_set(&mut tree, set)?;
    }
    let misfit = |error: serde_path_to_error::Error<serde_yaml::Error>| {
        (error.path().to_string(), error.inner().to_string())
    };
    Ok(serde_path_to_error::deserialize(tree).map_err(misfit))
}

/// Names the `--set` that a value came from: the first one with which, after those before it, the mistake is there.
fn explain(name: &str, tree: &Value, sets: &[String], misfit: Misfit) -> RecipeError {
    let Mistake { reason, meant } = mistake(&misfit.1);
    let shows =
        |count: &usize| read(tree, &sets[..*count]).is_ok_and(|found| found.err().as_ref() == Some(&misfit));
    if let Some(cause) = (0..=sets.len()).find(shows).and_then(|count| sets[..count].last()) {
        let field = cause.split('=').next().unwrap_or_default();
        let hint = meant.map_or_else(|| lookup(name), |meant| format!("`--set {field}={meant}`"));
        return RecipeError::SetField { given: cause.clone(), reason, hint };
    }
    let hint = meant.map_or_else(|| COMPARE.into(), |meant| format!("write `{meant}`"));
    RecipeError::Field { name: name.into(), field: misfit.0, reason, hint }
}

fn apply_set(tree: &mut Value, set: &str) -> Result<(), RecipeError> {
    let bad = |reason: String| RecipeError::Set { given: set.into(), reason };
    let (path, value) = set.split_once('=').ok_or_else(|| bad("there is no `=`".into()))?;
    let is_number = value.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit());
    let value: Value = serde_yaml::from_str(value).map_err(|error| {
        let too_large = "the number is larger than any field takes".into();
        bad(if is_number { too_large } else { format!("the value is not YAML ({error})") })
    })?;
    let mut place = tree;
    for key in path.split('.') {
        if key.is_empty() {
            return Err(bad("a part of the field's path is empty".into()));
        }
        if place.is_null() {
            *place = Value::Mapping(Mapping::new());
        }
        let Value::Mapping(map) = place else {
            return Err(bad(format!("`{key}` is looked for in a value that has no fields")));
        };
        clear_for_kind(map, key, &value);
        place = map.entry(Value::String(key.into())).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

/// Another `kind` replaces its whole section, as the other fields are those of the kind before.
fn clear_for_kind(map: &mut Mapping, key: &str, value: &Value) {
    if key == "kind" && map.get("kind").is_some_and(|before| before != value) {
        map.clear();
    }
}

/// `; did you mean …?` with the one of `known` that `given` is probably a misspelling of, in whatever case; or nothing.
pub fn did_you_mean(given: &str, known: &[&str]) -> String {
    let given = given.to_lowercase();
    let likeness = |name: &&str| strsim::jaro_winkler(&given, &name.to_lowercase());
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|best| likeness(best) > 0.75)
        .map_or_else(String::new, |best| format!("; did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(kind.contains("loss.adversarial") && kind.contains("did you mean `lsgan`?"), "{kind}");
        assert_eq!(
            message(&["data.flip=false", "train.batch=many", "train.seed=3"]),
            "`--set train.batch=many`: expected a whole number from 0, found the text `many`\nhint: `translate recipe \
             show cyclegan --resolved` shows every field with its value"
        );
        assert_eq!(
            message(&["generators.x_to_y.net.blocks=1_0"]),
            "`--set generators.x_to_y.net.blocks=1_0`: expected a whole number from 0, found the text `1_0`\nhint: `--set \
             generators.x_to_y.net.blocks=10`"
        );
        assert!(
            message(&["train.batch=0"])
                .contains("`train.batch` is `0`; expected 1 to 4096 at `data.size` 256")
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
        assert!(message(&["data.size=250"]).contains("a multiple of 4"));
        assert_eq!(
            message(&["data.size=512"]),
            "recipe `cyclegan`: `data.load_size` is `286`; expected from `data.size` (512) to 8192\nhint: `--set \
             data.load_size=512`"
        );
        assert_eq!(
            message(&["data.load_size=9000"]),
            "recipe `cyclegan`: `data.load_size` is `9000`; expected from `data.size` (256) to 8192\nhint: another \
             `--set data.load_size=…`; `translate recipe show cyclegan --resolved` shows every field with its value"
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
        assert!(
            message(&["train.critic_steps=0"]).contains("`train.critic_steps` is `0`; expected at least 1")
        );
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
        let jargon =
            ["usize", "u32", "u64", "i64", "f64", "struct", "enum", "variant", "unit value", "invalid"];
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
            assert!(text.starts_with(&format!("`--set {set}`: ")) && text.contains("\nhint: "), "{text}");
            let said = text.split("\nhint").next().unwrap_or_default().to_lowercase();
            assert!(jargon.iter().all(|word| !said.contains(word)), "{text}");
        }
        assert!(message(&["train.images=9999999999999999999999"]).contains("the number is larger than any"));
        assert!(message(&["train.images=1_000"]).ends_with("hint: `--set train.images=1000`"));
        let yaml = load("cyclegan").unwrap().replace("pool: 50", "pool: 5_0");
        let text = from_yaml("mine.yaml", &yaml, &["train.seed=1".to_string()]).unwrap_err().to_string();
        assert_eq!(
            text,
            "recipe `mine.yaml`, field `loss.pool`: expected a whole number from 0, found the text `5_0`\nhint: write `50`"
        );
    }

    #[test]
    fn a_file_that_is_not_valid_by_itself_is_not_to_be_shown() {
        let yaml = load("cyclegan").unwrap().replace("pool: 50", "pool: 50, r1: -1");
        let text = from_yaml("mine.yaml", &yaml, &[]).unwrap_err().to_string();
        assert!(text.contains("recipe `mine.yaml`: `loss.r1` is `-1`; expected "), "{text}");
        assert!(
            text.contains("\nhint: another `--set loss.r1=…`; `translate recipe show cyclegan "),
            "{text}"
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
        let yaml = load("cyclegan").unwrap();
        let mut tree: Value = serde_yaml::from_str(&yaml).unwrap();
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
}
