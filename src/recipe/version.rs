//! Which version of the program reads a recipe: its `format`, and the version that it says it needs.

use super::problem::Problem;
use super::schema::FORMAT;
use super::tree::{Kind, Node};
use super::wording::found;

/// This program's.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Takes `needs` out, which is for reading alone, and refuses a text for a later program. One that is no version is added
/// to `problems`.
pub fn not_later(node: &mut Node, problems: &mut Vec<Problem>) -> Result<(), Problem> {
    let needs = take(node, "needs");
    let version = needs.as_ref().and_then(|needs| parts(needs.written()));
    if let (Some(needs), None) = (&needs, version) {
        let message = format!("`needs` is {}; expected a version of translate, as in `{OURS}`", found(needs));
        problems.push(Problem::at(needs.place.clone(), message).hint("leave it out if you do not know it"));
    }
    let later = needs.filter(|_| version > parts(OURS));
    let format = node.get("format").filter(|format| number(format) > Some(u64::from(FORMAT)));
    let (place, message) = match (format, &later) {
        (Some(format), _) => {
            let message = format!(
                "`format` is `{}`, of a later version of translate; expected {FORMAT}, which translate {OURS} reads",
                format.written()
            );
            (&format.place, message)
        }
        (None, Some(needs)) => {
            let message =
                format!("`needs` is `{}`; expected at most `{OURS}`, this translate", needs.written());
            (&needs.place, message)
        }
        (None, None) => return Ok(()),
    };
    let hint = match &later {
        Some(needs) => format!("take translate {} or a later one", needs.written()),
        None => "take the newest version of translate".into(),
    };
    Err(Problem::at(place.clone(), message).hint(hint))
}

fn take(node: &mut Node, field: &str) -> Option<Node> {
    let Kind::Map(map) = &mut node.kind else { return None };
    map.shift_remove(field).map(|entry| entry.node)
}

fn number(node: &Node) -> Option<u64> {
    if let Kind::Scalar(value) = &node.kind { value.as_u64() } else { None }
}

/// The numbers of a version such as `0.3` or `"1.2.0"`; what is left out is 0. As written, since YAML takes `0.10` for 0.1.
fn parts(written: &str) -> Option<[u64; 3]> {
    let plain = written.trim_matches(['"', '\'']);
    let mut numbers = [0; 3];
    for (index, part) in plain.split('.').enumerate() {
        *numbers.get_mut(index)? = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{from_yaml, resolve, to_yaml};

    fn refused(first: &str) -> String {
        let text = to_yaml(&resolve("cyclegan", &[]).unwrap()).unwrap();
        let (_, rest) = text.split_once("format: 1\n").unwrap();
        from_yaml("r.yaml", &format!("{first}\n{rest}"), &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_later_recipe_says_which_version_reads_it() {
        let text = refused("format: 2\nneeds: 7.10\nnewer: 3");
        assert!(text.starts_with("`format` is `2`, of a later version of translate; expected 1"), "{text}");
        assert!(text.ends_with("\nhint: take translate 7.10 or a later one"), "{text}");
        // It says nothing, or what cannot be.
        for needs in ["", "needs: 0.0.1", "needs: 0.1"] {
            let text = refused(&format!("format: 2\n{needs}\nnewer: 3"));
            assert!(text.ends_with("\nhint: take the newest version of translate"), "{text}");
        }
        let text = refused("format: 1\nneeds: \"7.10.1\"\nnewer: 3");
        assert!(text.starts_with("`needs` is `\"7.10.1\"`; expected at most"), "{text}");
        assert!(!text.contains("newer"), "{text}");
    }

    #[test]
    fn what_this_program_writes_it_reads_and_names_no_later_one() {
        let text = to_yaml(&resolve("cyclegan", &[]).unwrap()).unwrap();
        let needs = text.lines().find_map(|line| line.strip_prefix("needs: ")).unwrap();
        assert!(parts(needs).unwrap() <= parts(OURS).unwrap(), "{needs}");
        assert!(refused(&format!("format: 2\nneeds: {needs}")).contains("newest version"), "{needs}");
    }

    #[test]
    fn what_is_no_version_is_told_with_other_mistakes() {
        let text = refused("format: 1\nneeds: soon\nnewer: 3");
        assert!(
            text.contains("`needs` is the text `soon`; expected a version") && text.contains("newer"),
            "{text}"
        );
        assert_eq!(parts("0.10"), Some([0, 10, 0]));
        assert!(parts("0.2") < parts("0.10") && parts("'1.2.3'") > parts("1.2"));
        assert_eq!([parts("1.2.3.4"), parts(""), parts("1..2"), parts("-1")], [None; 4]);
    }
}
