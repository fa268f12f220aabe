//! Keys as the command table knows them: no window library is named here.

use std::fmt;

/// A key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the keys' own")]
pub enum Key {
    /// A letter `A`..=`Z`, a digit `0`..=`9`, or a sign on the key such as `[`, `?`, `+`.
    Sign(char),
    Enter,
    Escape,
    Space,
    Tab,
    Delete,
    Backspace,
    ArrowLeft,
    ArrowRight,
    ArrowUp,
    ArrowDown,
    PageUp,
    PageDown,
    Home,
    End,
    /// `F1`..=`F12`.
    Function(u8),
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shortcut {
    /// The key.
    pub key: Key,
    /// Ctrl, or Cmd on a Mac.
    pub command: bool,
    /// Shift. For a sign that itself needs Shift (`?`, `+`) it is not set.
    pub shift: bool,
    /// Alt.
    pub alt: bool,
}

impl Shortcut {
    /// The key alone.
    pub const fn plain(key: Key) -> Self {
        Self { key, command: false, shift: false, alt: false }
    }

    /// A sign alone.
    pub const fn sign(sign: char) -> Self {
        Self::plain(Key::Sign(sign))
    }

    /// Ctrl (Cmd on a Mac) and a sign.
    pub const fn ctrl(sign: char) -> Self {
        Self { command: true, ..Self::sign(sign) }
    }

    /// The same with Shift.
    pub const fn with_shift(self) -> Self {
        Self { shift: true, ..self }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Sign(sign) => return write!(f, "{sign}"),
            Self::Function(number) => return write!(f, "F{number}"),
            Self::Enter => "Enter",
            Self::Escape => "Esc",
            Self::Space => "Space",
            Self::Tab => "Tab",
            Self::Delete => "Del",
            Self::Backspace => "Backspace",
            Self::ArrowLeft => "Left",
            Self::ArrowRight => "Right",
            Self::ArrowUp => "Up",
            Self::ArrowDown => "Down",
            Self::PageUp => "Page Up",
            Self::PageDown => "Page Down",
            Self::Home => "Home",
            Self::End => "End",
        };
        f.write_str(name)
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command {
            f.write_str(if cfg!(target_os = "macos") { "Cmd+" } else { "Ctrl+" })?;
        }
        if self.alt {
            f.write_str("Alt+")?;
        }
        if self.shift {
            f.write_str("Shift+")?;
        }
        write!(f, "{}", self.key)
    }
}
