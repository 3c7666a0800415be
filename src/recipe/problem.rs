//! What is wrong with a recipe: messages with the place in the text, drawn with the line underlined.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::tree::{Place, Source};
use crate::words::{plain, printable};

/// Mistakes that are told, at most: who has more has no recipe.
pub const MOST: usize = 100;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, what was expected.
    pub message: String,
    /// Where; nothing where a field is missing in an empty text.
    pub place: Option<Place>,
    /// What to do.
    pub hint: Option<String>,
    /// The dotted path of the field.
    pub field: String,
}

impl Problem {
    /// A mistake at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: Some(place), hint: None, field: String::new() }
    }

    /// A mistake whose place is not known yet.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, hint: None, field: String::new() }
    }

    /// The same in another text, in which its own begins at the byte `at`.
    #[must_use]
    pub fn moved(self, source: &Arc<Source>, at: usize) -> Self {
        Self { place: self.place.map(|place| place.moved(source, at)), ..self }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = Level::ERROR.no_name().primary_title(&self.message);
        // All of it can hold the text's own words.
        let hint = self.hint.as_ref().map(|hint| format!("hint: {}", plain(hint)));
        let Some(place) = &self.place else {
            f.write_str(&plain(&self.message))?;
            return hint.map_or(Ok(()), |hint| write!(f, "\n{hint}"));
        };
        let source = &place.source;
        let path = source.has_lines.then_some(source.name.as_str());
        // Of a long text no more than its lines in question, as each mistake is drawn by itself.
        let lines = place.lines();
        let span = place.bytes.start - lines.start..place.bytes.end - lines.start;
        let snippet = Snippet::source(&source.text[lines]).path(path).line_start(place.line()).fold(true);
        let group = title.element(snippet.annotation(AnnotationKind::Primary.span(span)));
        // The renderer leaves some of what a terminal obeys, U+0085 among it.
        f.write_str(printable(&Renderer::plain().render(&[group])).trim_end())?;
        hint.map_or(Ok(()), |hint| write!(f, "\n{hint}"))
    }
}

/// All that is wrong with a recipe, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// In the order of the text. The last of `texts` comes first, as it is the one that was asked for; what is in none of
    /// them comes at the end.
    pub fn sorted(mut problems: Vec<Problem>, texts: &[String]) -> Self {
        let key = |problem: &Problem| {
            let Place { source, bytes } = problem.place.as_ref()?;
            let above = texts.iter().rev().position(|name| source.has_lines && *name == source.name);
            Some((above.unwrap_or(texts.len()), bytes.start))
        };
        problems.sort_by_key(key);
        problems.truncate(MOST);
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\nerror: " };
            write!(f, "{gap}{problem}")?;
        }
        let count = self.0.len();
        if count == MOST {
            write!(f, "\n\nthe first {count} mistakes")?;
        } else if count > 1 {
            write!(f, "\n\n{count} mistakes")?;
        }
        if self.0.iter().any(|problem| problem.hint.is_none()) {
            f.write_str(
                "\nhint: `translate recipe show cyclegan --resolved` is a complete recipe to compare with",
            )?;
        }
        Ok(())
    }
}
