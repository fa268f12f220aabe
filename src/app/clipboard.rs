//! Pictures to and from the clipboard, on a thread of their own: another program may take its time to answer.
//!
//! Invariant: the owner of a copied picture stays alive until something else is copied or the window closes, which is
//! what X11 and Wayland ask for.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A picture with alpha as the clipboard has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbaPicture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height, width, 4]`, alpha not multiplied in.
    pub rgba: Vec<u8>,
}

enum Wish {
    Copy(RgbaPicture),
    Paste,
}

/// What came of it.
#[derive(Debug)]
pub enum ClipboardAnswer {
    /// The picture is on the clipboard.
    Copied,
    /// The picture on the clipboard.
    Pasted(RgbaPicture),
    /// Neither worked; the text is for people.
    Failed(String),
}

/// The clipboard's thread.
pub struct Clipboard {
    wishes: Sender<Wish>,
    answers: Receiver<ClipboardAnswer>,
}

impl Clipboard {
    /// Starts the thread. It touches the clipboard only when asked to.
    pub fn start(wake: impl Fn() + Send + 'static) -> Self {
        let (wishes, inbox) = channel();
        let (outbox, answers) = channel();
        std::thread::spawn(move || {
            let mut clipboard = None;
            while let Ok(wish) = inbox.recv() {
                let answer = serve(&mut clipboard, wish);
                if outbox.send(answer).is_err() {
                    break;
                }
                wake();
            }
        });
        Self { wishes, answers }
    }

    /// Puts a picture on the clipboard.
    pub fn copy(&self, picture: RgbaPicture) {
        // The thread ends only with the window.
        let _ = self.wishes.send(Wish::Copy(picture));
    }

    /// Asks for the picture on the clipboard.
    pub fn paste(&self) {
        let _ = self.wishes.send(Wish::Paste);
    }

    /// The next answer, if one is there.
    pub fn poll(&self) -> Option<ClipboardAnswer> {
        self.answers.try_recv().ok()
    }
}

fn serve(clipboard: &mut Option<arboard::Clipboard>, wish: Wish) -> ClipboardAnswer {
    if clipboard.is_none() {
        match arboard::Clipboard::new() {
            Ok(opened) => *clipboard = Some(opened),
            Err(error) => return ClipboardAnswer::Failed(format!("The clipboard does not answer: {error}.")),
        }
    }
    let Some(clipboard) = clipboard else {
        return ClipboardAnswer::Failed("The clipboard does not answer.".into());
    };
    match wish {
        Wish::Copy(picture) => {
            let image = arboard::ImageData {
                width: picture.width as usize,
                height: picture.height as usize,
                bytes: Cow::Owned(picture.rgba),
            };
            match clipboard.set_image(image) {
                Ok(()) => ClipboardAnswer::Copied,
                Err(error) => ClipboardAnswer::Failed(format!("The cut-out could not be copied: {error}.")),
            }
        }
        Wish::Paste => match clipboard.get_image() {
            Ok(image) => ClipboardAnswer::Pasted(RgbaPicture {
                width: image.width as u32,
                height: image.height as u32,
                rgba: image.bytes.into_owned(),
            }),
            Err(arboard::Error::ContentNotAvailable) => {
                ClipboardAnswer::Failed("There is no picture on the clipboard. Copy one, then paste again.".into())
            }
            Err(error) => ClipboardAnswer::Failed(format!("The picture could not be pasted: {error}.")),
        },
    }
}
