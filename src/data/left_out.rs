//! What of the data can be read but not used.

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct LeftOut {
    /// A path in backquotes, or a line of a file that has such a path.
    pub what: String,
    /// The reason and what was expected, lower case, without a full stop. It names nothing that differs from one to the
    /// next, so that those of one reason can be told together.
    pub reason: String,
}
