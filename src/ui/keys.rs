//! Pressed keys as the command table's shortcuts: the one place that knows the window library's key names.
//!
//! Invariant: while a text is being typed only combinations with Ctrl that no text field uses, and function keys, are
//! commands. While a button has the focus, the keys that work it stay its own.

use super::wish::Wishes;
use crate::session::{CommandTable, Context as CommandContext, Key, Shortcut, WindowRequest};
use egui::{Event, Modifiers};

/// Turns this frame's key events into wishes. True if the Tab key was a command: the window library moves the focus at
/// the same press, which the caller must then take back.
pub fn keys_to_wishes(
    context: &egui::Context,
    table: &CommandTable,
    state: CommandContext,
    wishes: &mut Wishes,
) -> bool {
    let typing = context.text_edit_focused();
    let focused = context.memory(|memory| memory.focused().is_some());
    let events = context.input(|input| input.events.clone());
    let mut took_tab = false;
    for shortcut in events.iter().filter_map(shortcut_of) {
        let taken = (typing && belongs_to_text(shortcut)) || (focused && belongs_to_focus(shortcut));
        if taken {
            continue;
        }
        if let Some(entry) = table.resolve(shortcut, state) {
            wishes.action(&entry.action);
            took_tab |= shortcut.key == Key::Tab;
        }
    }
    took_tab
}

/// While a dialog is open only the keys that close what they opened go through.
pub fn keys_over_dialog(context: &egui::Context, table: &CommandTable, state: CommandContext) -> Option<WindowRequest> {
    use crate::session::Action;
    let events = context.input(|input| input.events.clone());
    events.iter().filter_map(shortcut_of).find_map(|shortcut| match table.resolve(shortcut, state)?.action {
        Action::Window(request @ (WindowRequest::Palette | WindowRequest::Shortcuts | WindowRequest::Quit))
            if shortcut.command || matches!(shortcut.key, Key::Function(_)) =>
        {
            Some(request)
        }
        _ => None,
    })
}

fn belongs_to_text(shortcut: Shortcut) -> bool {
    let edits = matches!(shortcut.key, Key::Sign('A' | 'C' | 'V' | 'X' | 'Y' | 'Z'));
    let is_function = matches!(shortcut.key, Key::Function(_));
    !is_function && (!shortcut.command || edits)
}

fn belongs_to_focus(shortcut: Shortcut) -> bool {
    !shortcut.command
        && matches!(
            shortcut.key,
            Key::Enter | Key::Space | Key::Tab | Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown
        )
}

fn shortcut_of(event: &Event) -> Option<Shortcut> {
    match event {
        Event::Key { key, pressed: true, repeat, modifiers, .. } => {
            let shortcut = from_egui(*key, *modifiers)?;
            // Held keys repeat only where repeating is what holding means.
            (!repeat || repeats(shortcut)).then_some(shortcut)
        }
        Event::Copy => Some(Shortcut::ctrl('C')),
        _ => None,
    }
}

fn repeats(shortcut: Shortcut) -> bool {
    let steps = matches!(shortcut.key, Key::Sign('A' | 'D' | '+' | '=' | '-') | Key::PageUp | Key::PageDown | Key::Tab);
    steps || (shortcut.command && matches!(shortcut.key, Key::Sign('Z' | 'Y')))
}

fn from_egui(key: egui::Key, modifiers: Modifiers) -> Option<Shortcut> {
    use egui::Key as E;
    let named = match key {
        E::Enter => Key::Enter,
        E::Escape => Key::Escape,
        E::Space => Key::Space,
        E::Tab => Key::Tab,
        E::Delete => Key::Delete,
        E::Backspace => Key::Backspace,
        E::ArrowLeft => Key::ArrowLeft,
        E::ArrowRight => Key::ArrowRight,
        E::ArrowUp => Key::ArrowUp,
        E::ArrowDown => Key::ArrowDown,
        E::PageUp => Key::PageUp,
        E::PageDown => Key::PageDown,
        E::Home => Key::Home,
        E::End => Key::End,
        // egui calls the sign by its look, which for minus is not the ASCII one.
        E::Minus => Key::Sign('-'),
        _ => {
            let name = key.symbol_or_name();
            let mut letters = name.chars();
            match (letters.next(), letters.next()) {
                (Some(sign), None) => Key::Sign(sign),
                (Some('F'), Some(_)) => Key::Function(name[1..].parse().ok()?),
                _ => return None,
            }
        }
    };
    let sign_needs_shift = matches!(named, Key::Sign(sign) if !sign.is_ascii_alphanumeric());
    Some(Shortcut {
        key: named,
        command: modifiers.command,
        shift: modifiers.shift && !sign_needs_shift,
        alt: modifiers.alt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_command_table_can_be_pressed() {
        let table = CommandTable::default();
        let pressable: Vec<Shortcut> = egui::Key::ALL
            .iter()
            .flat_map(|&key| {
                [Modifiers::NONE, Modifiers::SHIFT, Modifiers::COMMAND, Modifiers::COMMAND | Modifiers::SHIFT]
                    .into_iter()
                    .filter_map(move |modifiers| from_egui(key, modifiers))
            })
            .collect();
        for entry in table.entries() {
            for key in &entry.keys {
                assert!(pressable.contains(key), "{key} of {}", entry.id);
            }
        }
    }

    #[test]
    fn a_question_mark_needs_shift_and_a_letter_tells_it() {
        assert_eq!(from_egui(egui::Key::Questionmark, Modifiers::SHIFT), Some(Shortcut::sign('?')));
        let redo = from_egui(egui::Key::Z, Modifiers::COMMAND | Modifiers::SHIFT);
        assert_eq!(redo, Some(Shortcut::ctrl('Z').with_shift()));
        assert!(belongs_to_text(Shortcut::ctrl('Z')) && !belongs_to_text(Shortcut::ctrl('S')));
    }
}
