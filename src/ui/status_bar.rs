//! The bar at the foot: whether the work is kept, the picture, the zoom, the model and how long things took.

use super::theme::Palette;
use crate::session::{Access, EmbeddingSource, SaveState, Session};
use egui::{Align, Color32, Layout, RichText, Sense, Ui, vec2};

/// Draws the bar. `zoom` is screen pixels a picture pixel; 0 without a picture.
pub fn status_bar_ui(ui: &mut Ui, session: &Session, zoom: f32) {
    let palette = Palette::of(ui.visuals());
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (color, text, detail) = saved(session, palette);
        let (dot, _) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
        ui.painter().circle_filled(dot.center(), 3.5, color);
        item_ui(ui, &text, palette.text).on_hover_text(detail);
        if let Some(size) = session.picture.size() {
            gap_ui(ui);
            let notes = session.picture.handle().map(|handle| handle.notes.clone()).unwrap_or_default();
            let mut named = format!("{} × {}", size.width, size.height);
            if !notes.is_empty() {
                named.push_str(" *");
            }
            let response = item_ui(ui, &named, palette.text_weak);
            let notes: Vec<String> = notes.iter().map(|note| note_text(*note)).collect();
            response.on_hover_text(if notes.is_empty() {
                "Size of the picture in pixels".into()
            } else {
                notes.join("\n")
            });
        }
        if zoom > 0.0 {
            gap_ui(ui);
            item_ui(ui, &format!("{:.0} %", zoom * 100.0), palette.text_weak).on_hover_text("Zoom");
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            model_ui(ui, session);
        });
    });
}

fn model_ui(ui: &mut Ui, session: &Session) {
    let palette = Palette::of(ui.visuals());
    let timings = &session.timings;
    if let Some(ms) = timings.decode_ms {
        item_ui(ui, &format!("mask {}", milliseconds(ms)), palette.text_weak)
            .on_hover_text("The last mask took this long");
        gap_ui(ui);
    }
    if let Some(ms) = timings.encode_ms {
        let (text, detail) = match timings.encode_source {
            Some(EmbeddingSource::Memory) => ("ready from memory".to_owned(), "This picture was encoded before"),
            Some(EmbeddingSource::Disk) => ("ready from disk".to_owned(), "This picture was encoded in an earlier run"),
            _ => (format!("picture {}", milliseconds(ms)), "Preparing this picture took this long"),
        };
        item_ui(ui, &text, palette.text_weak).on_hover_text(detail);
        gap_ui(ui);
    }
    match &session.model.info {
        Some(info) => {
            item_ui(ui, &info.device, palette.text_weak).on_hover_text("Where the model runs");
            gap_ui(ui);
            item_ui(ui, &info.name, palette.text_weak).on_hover_text(&info.id);
        }
        None if session.model.problem.is_some() => {
            item_ui(ui, "No model", palette.bad);
        }
        None => {
            item_ui(ui, "Opening the model…", palette.text_weak);
        }
    }
}

fn saved(session: &Session, palette: &Palette) -> (Color32, String, String) {
    let place = session.project.store_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    match (&session.project.access, &session.project.save) {
        (Access::None, _) => (palette.text_weak, "Nothing open".into(), "Open a picture to begin".into()),
        (Access::ReadOnly { owner }, _) => (
            palette.warning,
            "Read only".into(),
            format!("{owner} has this project open; it can be looked at and exported"),
        ),
        (_, SaveState::Failed(why)) => (palette.bad, "Not saved".into(), why.clone()),
        (_, SaveState::Saving) => (palette.text_weak, "Saving…".into(), place),
        (_, SaveState::Saved) => (palette.good, "All work saved".into(), format!("Saved as it is made, in {place}")),
    }
}

fn note_text(note: crate::raster::PictureNote) -> String {
    use crate::raster::PictureNote;
    match note {
        PictureNote::FirstFrameOnly => "The file has several frames or pages; the first is shown.".into(),
        PictureNote::Reoriented(_) => "Turned upright as the camera noted.".into(),
        PictureNote::ReducedTo8Bit => "More than 8 bits a channel, shown with 8.".into(),
        PictureNote::AlphaFlattened => "Transparent pixels are laid over white.".into(),
    }
}

fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

fn item_ui(ui: &mut Ui, text: &str, color: Color32) -> egui::Response {
    ui.label(RichText::new(text).size(12.0).color(color))
}

fn gap_ui(ui: &mut Ui) {
    let palette = Palette::of(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(5.0, 12.0), Sense::hover());
    ui.painter().circle_filled(rect.center(), 1.5, palette.outline);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        assert_eq!([3.21, 48.6, 12_345.0].map(milliseconds), ["3.2 ms", "49 ms", "12.3 s"]);
    }
}
