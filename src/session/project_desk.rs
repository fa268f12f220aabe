//! The thread that opens projects and keeps their files: the window never waits for the disk.

/// Whether the work on the open project is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Nothing is open.
    #[default]
    None,
    /// Every edit is kept as it is made.
    ReadWrite,
    /// Another process has the project open: it can be looked at and exported, not changed.
    ReadOnly {
        /// Who has it: `process 4711 on workstation`.
        owner: String,
    },
}
