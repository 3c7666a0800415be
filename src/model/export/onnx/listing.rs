//! The operators of a traced network, as `Program::listing` gives them.

use serde::Deserialize;

use crate::model::export::ExportError;

/// An operator; or the network's `inputs`, or its `outputs`.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    /// Its name, as `aten::relu`.
    pub op: String,
    /// What it is given.
    pub arguments: Vec<Argument>,
    /// The number of what it gives.
    #[serde(default)]
    pub result: i64,
    /// The shape of that on the inputs of the trace.
    #[serde(default)]
    pub shape: Vec<i64>,
}

/// What an operator is given.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Argument {
    /// Nothing.
    None,
    /// What another operator gave.
    Value {
        /// Its number.
        value: i64,
    },
    /// A weight.
    Weight {
        /// Its name.
        weight: String,
    },
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Several.
    List(Vec<Argument>),
}

impl Line {
    /// What is said of an operator that is written in an unknown way.
    pub fn unknown(&self) -> ExportError {
        ExportError::Operator { op: self.op.clone() }
    }

    fn argument(&self, i: usize) -> Result<&Argument, ExportError> {
        self.arguments.get(i).ok_or_else(|| self.unknown())
    }

    /// Whether argument `i` is nothing.
    pub fn is_none(&self, i: usize) -> bool {
        matches!(self.arguments.get(i), Some(Argument::None))
    }

    /// Argument `i`, which is a number.
    pub fn float(&self, i: usize) -> Result<f64, ExportError> {
        match self.argument(i)? {
            Argument::Number(number) => Ok(*number),
            _ => Err(self.unknown()),
        }
    }

    /// Argument `i`, which is a whole number.
    pub fn int(&self, i: usize) -> Result<i64, ExportError> {
        self.float(i).map(|number| number as i64)
    }

    /// Argument `i`, which is yes or no.
    pub fn bool(&self, i: usize) -> Result<bool, ExportError> {
        match self.argument(i)? {
            Argument::Bool(value) => Ok(*value),
            _ => Err(self.unknown()),
        }
    }

    /// Argument `i`, which is a list.
    pub fn list(&self, i: usize) -> Result<&[Argument], ExportError> {
        match self.argument(i)? {
            Argument::List(list) => Ok(list),
            _ => Err(self.unknown()),
        }
    }

    /// Argument `i`, which is a list of numbers.
    pub fn floats(&self, i: usize) -> Result<Vec<f64>, ExportError> {
        let number = |argument: &Argument| match argument {
            Argument::Number(number) => Ok(*number),
            _ => Err(self.unknown()),
        };
        self.list(i)?.iter().map(number).collect()
    }

    /// Argument `i`, which is a list of whole numbers.
    pub fn ints(&self, i: usize) -> Result<Vec<i64>, ExportError> {
        Ok(self.floats(i)?.into_iter().map(|number| number as i64).collect())
    }
}

/// Reads a listing.
pub(super) fn parse(listing: &str) -> Result<Vec<Line>, serde_json::Error> {
    listing.lines().map(serde_json::from_str).collect()
}
