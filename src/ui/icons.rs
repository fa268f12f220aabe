//! Icons as strokes on a grid of 24 by 24, painted in the text's colour: crisp at any scale, no icon font to carry.
//!
//! Invariant: an icon is never the only name of an action; the widgets of [`super::widgets`] ask for an accessible name.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2};

/// A picture sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// A picture.
    Picture,
    /// A folder.
    Folder,
    /// An arrow that leaves a tray.
    Export,
    /// An arrow to the left that turns.
    Undo,
    /// An arrow to the right that turns.
    Redo,
    /// A magnifier.
    Search,
    /// Sliders.
    Settings,
    /// A question mark in a circle.
    Help,
    /// An open eye.
    Eye,
    /// A crossed eye.
    EyeOff,
    /// A closed lock.
    Lock,
    /// An open lock.
    Unlock,
    /// A bin.
    Trash,
    /// A pencil.
    Pencil,
    /// A plus.
    Plus,
    /// A minus.
    Minus,
    /// A tick.
    Check,
    /// A cross.
    Cross,
    /// To the left.
    ChevronLeft,
    /// To the right.
    ChevronRight,
    /// Four corners.
    Fit,
    /// A price tag.
    Tag,
    /// An arrow that picks.
    Pointer,
    /// A point inside a ring.
    Target,
    /// A triangle with an exclamation mark.
    Warning,
    /// An i in a circle.
    Info,
    /// Two sheets.
    Copy,
    /// A bar on the left of a window.
    SidebarLeft,
    /// A bar on the right of a window.
    SidebarRight,
    /// Our own sign: a mask's outline and a point.
    Brand,
}

enum Part {
    Line(&'static [(f32, f32)]),
    Closed(&'static [(f32, f32)]),
    Ring(f32, f32, f32),
    Dot(f32, f32, f32),
    /// Centre, radius, from and to in degrees clockwise from the right.
    Arc(f32, f32, f32, f32, f32),
}

use Part::{Arc, Closed, Dot, Line, Ring};

fn parts(icon: Icon) -> &'static [Part] {
    match icon {
        Icon::Picture => &[
            Closed(&[(4.0, 5.0), (20.0, 5.0), (20.0, 19.0), (4.0, 19.0)]),
            Ring(9.0, 10.0, 1.6),
            Line(&[(5.0, 18.0), (12.0, 12.5), (15.0, 15.0), (17.5, 13.0), (20.0, 15.5)]),
        ],
        Icon::Folder => &[Closed(&[(3.5, 18.5), (3.5, 6.0), (9.5, 6.0), (11.5, 8.5), (20.5, 8.5), (20.5, 18.5)])],
        Icon::Export => &[
            Line(&[(12.0, 15.0), (12.0, 4.0)]),
            Line(&[(8.0, 8.0), (12.0, 4.0), (16.0, 8.0)]),
            Line(&[(4.5, 14.0), (4.5, 19.5), (19.5, 19.5), (19.5, 14.0)]),
        ],
        Icon::Undo => &[
            Line(&[(8.0, 5.0), (4.0, 9.0), (8.0, 13.0)]),
            Line(&[(4.0, 9.0), (14.5, 9.0)]),
            Arc(14.5, 13.5, 4.5, -90.0, 90.0),
            Line(&[(14.5, 18.0), (9.0, 18.0)]),
        ],
        Icon::Redo => &[
            Line(&[(16.0, 5.0), (20.0, 9.0), (16.0, 13.0)]),
            Line(&[(20.0, 9.0), (9.5, 9.0)]),
            Arc(9.5, 13.5, 4.5, 90.0, 270.0),
            Line(&[(9.5, 18.0), (15.0, 18.0)]),
        ],
        Icon::Search => &[Ring(10.5, 10.5, 6.0), Line(&[(15.0, 15.0), (20.0, 20.0)])],
        Icon::Settings => &[
            Line(&[(4.0, 7.0), (13.0, 7.0)]),
            Ring(15.5, 7.0, 2.4),
            Line(&[(18.0, 7.0), (20.0, 7.0)]),
            Line(&[(4.0, 17.0), (6.0, 17.0)]),
            Ring(8.5, 17.0, 2.4),
            Line(&[(11.0, 17.0), (20.0, 17.0)]),
        ],
        Icon::Help => &[
            Ring(12.0, 12.0, 8.5),
            Arc(12.0, 10.0, 2.6, 180.0, 400.0),
            Line(&[(13.6, 12.0), (12.0, 13.8)]),
            Dot(12.0, 16.6, 1.1),
        ],
        Icon::Eye => &[
            Line(&[(2.5, 12.0), (6.0, 7.8), (12.0, 5.8), (18.0, 7.8), (21.5, 12.0)]),
            Line(&[(2.5, 12.0), (6.0, 16.2), (12.0, 18.2), (18.0, 16.2), (21.5, 12.0)]),
            Ring(12.0, 12.0, 2.9),
        ],
        Icon::EyeOff => &[
            Line(&[(2.5, 10.0), (6.0, 14.2), (12.0, 16.2), (18.0, 14.2), (21.5, 10.0)]),
            Line(&[(12.0, 16.2), (12.0, 19.5)]),
            Line(&[(6.0, 14.2), (4.2, 17.0)]),
            Line(&[(18.0, 14.2), (19.8, 17.0)]),
        ],
        Icon::Lock => &[
            Closed(&[(5.5, 11.0), (18.5, 11.0), (18.5, 20.0), (5.5, 20.0)]),
            Line(&[(8.0, 11.0), (8.0, 8.0)]),
            Arc(12.0, 8.0, 4.0, 180.0, 360.0),
            Line(&[(16.0, 8.0), (16.0, 11.0)]),
        ],
        Icon::Unlock => &[
            Closed(&[(5.5, 11.0), (18.5, 11.0), (18.5, 20.0), (5.5, 20.0)]),
            Line(&[(8.0, 11.0), (8.0, 7.0)]),
            Arc(12.0, 7.0, 4.0, 180.0, 345.0),
        ],
        Icon::Trash => &[
            Line(&[(4.5, 6.5), (19.5, 6.5)]),
            Line(&[(9.0, 6.5), (9.0, 4.0), (15.0, 4.0), (15.0, 6.5)]),
            Line(&[(6.5, 6.5), (7.3, 20.0), (16.7, 20.0), (17.5, 6.5)]),
            Line(&[(10.2, 10.0), (10.4, 16.5)]),
            Line(&[(13.8, 10.0), (13.6, 16.5)]),
        ],
        Icon::Pencil => &[
            Closed(&[(4.5, 19.5), (5.5, 15.0), (16.0, 4.5), (19.5, 8.0), (9.0, 18.5)]),
            Line(&[(13.5, 7.0), (17.0, 10.5)]),
        ],
        Icon::Plus => &[Line(&[(12.0, 5.0), (12.0, 19.0)]), Line(&[(5.0, 12.0), (19.0, 12.0)])],
        Icon::Minus => &[Line(&[(5.0, 12.0), (19.0, 12.0)])],
        Icon::Check => &[Line(&[(5.0, 12.5), (10.0, 17.5), (19.5, 7.0)])],
        Icon::Cross => &[Line(&[(6.0, 6.0), (18.0, 18.0)]), Line(&[(18.0, 6.0), (6.0, 18.0)])],
        Icon::ChevronLeft => &[Line(&[(14.5, 5.5), (8.0, 12.0), (14.5, 18.5)])],
        Icon::ChevronRight => &[Line(&[(9.5, 5.5), (16.0, 12.0), (9.5, 18.5)])],
        Icon::Fit => &[
            Line(&[(4.0, 9.0), (4.0, 4.0), (9.0, 4.0)]),
            Line(&[(15.0, 4.0), (20.0, 4.0), (20.0, 9.0)]),
            Line(&[(20.0, 15.0), (20.0, 20.0), (15.0, 20.0)]),
            Line(&[(9.0, 20.0), (4.0, 20.0), (4.0, 15.0)]),
        ],
        Icon::Tag => &[Closed(&[(4.0, 4.0), (12.5, 4.0), (20.5, 12.0), (12.0, 20.5), (4.0, 12.5)]), Dot(8.2, 8.2, 1.4)],
        Icon::Pointer => &[Closed(&[(5.5, 3.5), (19.5, 11.0), (13.0, 13.0), (10.5, 19.5)])],
        Icon::Target => &[Ring(12.0, 12.0, 7.5), Dot(12.0, 12.0, 2.2)],
        Icon::Warning => &[
            Closed(&[(12.0, 4.0), (21.0, 19.5), (3.0, 19.5)]),
            Line(&[(12.0, 9.5), (12.0, 14.0)]),
            Dot(12.0, 16.8, 1.0),
        ],
        Icon::Info => &[Ring(12.0, 12.0, 8.5), Line(&[(12.0, 11.0), (12.0, 16.5)]), Dot(12.0, 7.8, 1.1)],
        Icon::Copy => &[
            Closed(&[(8.5, 8.5), (19.5, 8.5), (19.5, 19.5), (8.5, 19.5)]),
            Line(&[(15.5, 5.5), (15.5, 4.5), (4.5, 4.5), (4.5, 15.5), (5.5, 15.5)]),
        ],
        Icon::SidebarLeft => {
            &[Closed(&[(3.5, 5.0), (20.5, 5.0), (20.5, 19.0), (3.5, 19.0)]), Line(&[(9.5, 5.0), (9.5, 19.0)])]
        }
        Icon::SidebarRight => {
            &[Closed(&[(3.5, 5.0), (20.5, 5.0), (20.5, 19.0), (3.5, 19.0)]), Line(&[(14.5, 5.0), (14.5, 19.0)])]
        }
        Icon::Brand => &[
            Closed(&[
                (4.0, 9.0),
                (8.0, 4.5),
                (14.5, 3.8),
                (19.8, 8.0),
                (20.0, 14.5),
                (15.5, 19.8),
                (8.5, 20.0),
                (4.2, 15.5),
            ]),
            Dot(12.0, 12.0, 3.0),
        ],
    }
}

/// Paints an icon in the square in the middle of `rect`.
pub fn paint(painter: &Painter, rect: Rect, icon: Icon, color: Color32) {
    let side = rect.width().min(rect.height());
    let scale = side / 24.0;
    let origin = rect.center() - egui::vec2(side, side) * 0.5;
    let at = |x: f32, y: f32| pos2(origin.x + x * scale, origin.y + y * scale);
    let stroke = Stroke::new((1.7 * scale).max(1.2), color);
    let path = |points: &[(f32, f32)]| points.iter().map(|&(x, y)| at(x, y)).collect::<Vec<Pos2>>();
    for part in parts(icon) {
        painter.add(match part {
            Line(points) => Shape::line(path(points), stroke),
            Closed(points) => Shape::closed_line(path(points), stroke),
            Ring(x, y, radius) => Shape::circle_stroke(at(*x, *y), radius * scale, stroke),
            Dot(x, y, radius) => Shape::circle_filled(at(*x, *y), radius * scale, color),
            Arc(x, y, radius, from, to) => Shape::line(
                (0..=12)
                    .map(|step| {
                        let angle = (from + (to - from) * step as f32 / 12.0).to_radians();
                        at(x + radius * angle.cos(), y + radius * angle.sin())
                    })
                    .collect(),
                stroke,
            ),
        });
    }
}
