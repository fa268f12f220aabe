//! From presses and moves to wishes: a state machine on plain values, so that it is tested without a window.
//!
//! It is fed every pointer event of a frame in order, not the frame's last state: a press, a move and a release that
//! arrive together are still a drag.
//!
//! Invariant: between gestures only the last click is remembered; nothing is sent for a gesture that was cancelled,
//! but for a dragged point, which is sent home.

use super::{CanvasAction, CanvasPoint, CanvasTool};
use crate::geometry::{ImageFromScreen, ImagePoint, ImageRect, ScreenPoint};
use crate::prompt::Polarity;
use crate::render::CanvasInstance;

/// A press that moves farther than this is a drag, in logical points.
pub const DRAG_SLOP: f32 = 4.0;
/// A press this near to a point's middle is on the point, in logical points.
const GRAB_RADIUS: f32 = 10.0;
/// Two clicks within this time at one place are a double click.
const DOUBLE_CLICK_SECS: f64 = 0.3;

/// Mouse buttons that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Button {
    Left,
    Right,
    Middle,
}

/// What the pointer did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PointerEvent {
    Pressed { button: Button, at: ScreenPoint, shift: bool, ctrl: bool },
    Moved { at: ScreenPoint },
    Released { button: Button, at: ScreenPoint },
}

/// What lies under the pointer while an event is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub view: ImageFromScreen,
    pub size: (u32, u32),
    pub points: &'a [CanvasPoint],
    pub instances: &'a [CanvasInstance<'a>],
    pub tool: CanvasTool,
    pub interactive: bool,
    pub space: bool,
    pub time_secs: f64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Said {
    Wish(CanvasAction),
    /// The picture was pushed by this many logical points.
    Pan(f32, f32),
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum State {
    #[default]
    Idle,
    /// Pressed, not yet moved.
    Press {
        button: Button,
        from: ScreenPoint,
        meaning: Meaning,
    },
    /// Pressed and moved without a meaning; ends with the release.
    Nothing,
    Box {
        from: ScreenPoint,
        to: ScreenPoint,
    },
    Point {
        index: usize,
        home: ImagePoint,
    },
    Pan {
        last: ScreenPoint,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    Prompt { polarity: Polarity, on_point: Option<usize> },
    Select { extend: bool },
}

/// The gesture in progress.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gesture {
    state: State,
    /// Button, place and time of the last click that may become a double click.
    last_click: Option<(Button, ScreenPoint, f64)>,
}

impl Gesture {
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub fn is_panning(&self) -> bool {
        matches!(self.state, State::Pan { .. })
    }

    /// The box being drawn.
    pub fn rubber_band(&self, ground: &Ground<'_>) -> Option<ImageRect> {
        let State::Box { from, to } = self.state else { return None };
        Some(box_between(ground, from, to))
    }

    /// Drops the gesture.
    pub fn cancel(&mut self, said: &mut Vec<Said>) {
        if let State::Point { index, home } = self.state {
            said.push(Said::Wish(CanvasAction::PointMoved { index, to: home, done: true }));
        }
        self.state = if self.is_idle() { State::Idle } else { State::Nothing };
    }

    /// All buttons are up, wherever the last one was released.
    pub fn all_released(&mut self) {
        self.state = State::Idle;
    }

    pub fn feed(&mut self, event: PointerEvent, ground: &Ground<'_>, said: &mut Vec<Said>) {
        match event {
            PointerEvent::Pressed { button, at, shift, ctrl } => {
                if self.is_idle() {
                    self.state = pressed(button, at, shift, ctrl, ground);
                } else {
                    self.cancel(said);
                }
            }
            PointerEvent::Moved { at } => self.moved(at, ground, said),
            PointerEvent::Released { button, at } => {
                self.moved(at, ground, said);
                self.released(button, at, ground, said);
            }
        }
    }

    fn moved(&mut self, at: ScreenPoint, ground: &Ground<'_>, said: &mut Vec<Said>) {
        if let State::Press { button, from, meaning } = self.state {
            if distance(from, at) <= DRAG_SLOP {
                return;
            }
            self.state = match meaning {
                Meaning::Prompt { on_point: Some(index), .. } if button == Button::Left => {
                    ground.points.get(index).map_or(State::Nothing, |p| State::Point { index, home: p.at })
                }
                Meaning::Prompt { .. } if button == Button::Left => State::Box { from, to: at },
                // A shaky hand still selects; a right drag means nothing.
                Meaning::Select { .. } => self.state,
                Meaning::Prompt { .. } => State::Nothing,
            };
        }
        match &mut self.state {
            State::Pan { last } => {
                let (dx, dy) = (at.x - last.x, at.y - last.y);
                *last = at;
                if dx != 0.0 || dy != 0.0 {
                    said.push(Said::Pan(dx, dy));
                }
            }
            State::Box { to, .. } => *to = at,
            State::Point { index, .. } => {
                let to = clipped(ground, ground.view.image_from_screen(at));
                if ground.points.get(*index).is_some_and(|p| p.at != to) {
                    said.push(Said::Wish(CanvasAction::PointMoved { index: *index, to, done: false }));
                }
            }
            State::Idle | State::Press { .. } | State::Nothing => {}
        }
    }

    fn released(&mut self, button: Button, at: ScreenPoint, ground: &Ground<'_>, said: &mut Vec<Said>) {
        match std::mem::take(&mut self.state) {
            State::Press { button: pressed, from, meaning } if pressed == button => {
                self.clicked(button, from, meaning, ground, said);
            }
            State::Box { from, to } => {
                self.last_click = None;
                let rect = box_between(ground, from, to);
                if rect.width() >= 1.0 && rect.height() >= 1.0 {
                    said.push(Said::Wish(CanvasAction::Box(rect)));
                }
            }
            State::Point { index, .. } => {
                self.last_click = None;
                let to = clipped(ground, ground.view.image_from_screen(at));
                said.push(Said::Wish(CanvasAction::PointMoved { index, to, done: true }));
            }
            State::Idle | State::Press { .. } | State::Nothing | State::Pan { .. } => {}
        }
    }

    fn clicked(
        &mut self,
        button: Button,
        from: ScreenPoint,
        meaning: Meaning,
        ground: &Ground<'_>,
        said: &mut Vec<Said>,
    ) {
        let at = ground.view.image_from_screen(from);
        let again = self.last_click.take().is_some_and(|(last, place, time)| {
            last == button && distance(place, from) <= DRAG_SLOP && ground.time_secs - time < DOUBLE_CLICK_SECS
        });
        if again {
            if button == Button::Left {
                said.push(Said::Wish(CanvasAction::DoubleClick { at: clipped(ground, at) }));
            }
            return;
        }
        if let Meaning::Prompt { on_point: Some(index), .. } = meaning {
            said.push(Said::Wish(CanvasAction::PointRemoved { index }));
            return;
        }
        if !at.is_inside(ground.size.0, ground.size.1) {
            // Beside the picture: no point, but the selection can be dropped.
            if let Meaning::Select { extend: false } = meaning {
                let at = clipped(ground, at);
                said.push(Said::Wish(CanvasAction::Select { instance: None, at, extend: false }));
            }
            return;
        }
        self.last_click = Some((button, from, ground.time_secs));
        said.push(Said::Wish(match meaning {
            Meaning::Prompt { polarity, .. } => CanvasAction::Point { at, polarity },
            Meaning::Select { extend } => CanvasAction::Select { instance: instance_at(ground, at), at, extend },
        }));
    }
}

fn pressed(button: Button, at: ScreenPoint, shift: bool, ctrl: bool, ground: &Ground<'_>) -> State {
    if button == Button::Middle || (button == Button::Left && ground.space) {
        return State::Pan { last: at };
    }
    if !ground.interactive {
        return State::Nothing;
    }
    let selects = ctrl || ground.tool == CanvasTool::Select;
    let meaning = match (button, selects) {
        (Button::Left, true) => Meaning::Select { extend: shift },
        (_, true) => return State::Nothing,
        (_, false) => Meaning::Prompt {
            polarity: if shift || button == Button::Right { Polarity::Exclude } else { Polarity::Include },
            on_point: point_at(ground, at),
        },
    };
    State::Press { button, from: at, meaning }
}

/// The nearest point that a press here would take.
pub(super) fn point_at(ground: &Ground<'_>, at: ScreenPoint) -> Option<usize> {
    let far = |p: &CanvasPoint| distance(ground.view.screen_from_image(p.at), at);
    let near = ground.points.iter().enumerate().map(|(index, p)| (index, far(p)));
    near.filter(|(_, far)| *far <= GRAB_RADIUS).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
}

fn instance_at(ground: &Ground<'_>, at: ImagePoint) -> Option<u64> {
    let (x, y) = ((at.x as u32).min(ground.size.0 - 1), (at.y as u32).min(ground.size.1 - 1));
    ground.instances.iter().rev().find(|i| !i.hidden && i.mask.contains(x, y)).map(|i| i.key)
}

fn box_between(ground: &Ground<'_>, from: ScreenPoint, to: ScreenPoint) -> ImageRect {
    let corner = |at| clipped(ground, ground.view.image_from_screen(at));
    ImageRect::from_corners(corner(from), corner(to))
}

fn clipped(ground: &Ground<'_>, at: ImagePoint) -> ImagePoint {
    ImagePoint::new(at.x.clamp(0.0, ground.size.0 as f32), at.y.clamp(0.0, ground.size.1 as f32))
}

fn distance(a: ScreenPoint, b: ScreenPoint) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CanvasAction as A;

    fn screen(x: f32, y: f32) -> ScreenPoint {
        ScreenPoint { x, y }
    }

    /// The picture lies at (100, 100), two screen points a pixel, 200 x 100 pixels.
    fn ground() -> Ground<'static> {
        Ground {
            view: ImageFromScreen { origin: screen(100.0, 100.0), zoom: 2.0 },
            size: (200, 100),
            points: &[],
            instances: &[],
            tool: CanvasTool::Prompt,
            interactive: true,
            space: false,
            time_secs: 0.0,
        }
    }

    fn press(button: Button, x: f32, y: f32) -> PointerEvent {
        PointerEvent::Pressed { button, at: screen(x, y), shift: false, ctrl: false }
    }

    fn release(button: Button, x: f32, y: f32) -> PointerEvent {
        PointerEvent::Released { button, at: screen(x, y) }
    }

    fn wishes(gesture: &mut Gesture, ground: &Ground<'_>, events: &[PointerEvent]) -> Vec<A> {
        let mut said = Vec::new();
        events.iter().for_each(|&event| gesture.feed(event, ground, &mut said));
        said.into_iter().filter_map(|s| if let Said::Wish(wish) = s { Some(wish) } else { None }).collect()
    }

    fn click(ground: &Ground<'_>, button: Button, shift: bool, ctrl: bool, x: f32, y: f32) -> Vec<A> {
        let down = PointerEvent::Pressed { button, at: screen(x, y), shift, ctrl };
        wishes(&mut Gesture::default(), ground, &[down, release(button, x + 1.0, y)])
    }

    #[test]
    fn left_includes_right_and_shift_left_exclude() {
        let at = ImagePoint::new(25.0, 10.0);
        let include = [A::Point { at, polarity: Polarity::Include }];
        let exclude = [A::Point { at, polarity: Polarity::Exclude }];
        assert_eq!(click(&ground(), Button::Left, false, false, 150.0, 120.0), include);
        assert_eq!(click(&ground(), Button::Right, false, false, 150.0, 120.0), exclude);
        assert_eq!(click(&ground(), Button::Left, true, false, 150.0, 120.0), exclude);
    }

    #[test]
    fn a_click_beside_the_picture_says_nothing() {
        assert_eq!(click(&ground(), Button::Left, false, false, 90.0, 120.0), []);
        assert_eq!(click(&Ground { interactive: false, ..ground() }, Button::Left, false, false, 150.0, 120.0), []);
    }

    #[test]
    fn a_drag_is_a_box_even_when_all_its_events_come_at_once() {
        let events = [press(Button::Left, 150.0, 120.0), release(Button::Left, 200.0, 160.0)];
        let want = ImageRect { x0: 25.0, y0: 10.0, x1: 50.0, y1: 30.0 };
        assert_eq!(wishes(&mut Gesture::default(), &ground(), &events), [A::Box(want)]);
        // From beyond the corner and back over it: clipped, corners in order.
        let events = [press(Button::Left, 200.0, 160.0), release(Button::Left, 20.0, 20.0)];
        let want = ImageRect { x0: 0.0, y0: 0.0, x1: 50.0, y1: 30.0 };
        assert_eq!(wishes(&mut Gesture::default(), &ground(), &events), [A::Box(want)]);
        // Flat: no box.
        let events = [press(Button::Left, 150.0, 120.0), release(Button::Left, 200.0, 120.5)];
        assert_eq!(wishes(&mut Gesture::default(), &ground(), &events), []);
    }

    #[test]
    fn a_point_is_removed_by_a_click_and_moved_by_a_drag() {
        let points = [CanvasPoint { at: ImagePoint::new(25.0, 10.0), polarity: Polarity::Include, waiting: false }];
        let ground = Ground { points: &points, ..ground() };
        assert_eq!(click(&ground, Button::Left, false, false, 155.0, 124.0), [A::PointRemoved { index: 0 }]);
        let events = [
            press(Button::Left, 152.0, 120.0),
            PointerEvent::Moved { at: screen(170.0, 140.0) },
            release(Button::Left, 180.0, 140.0),
        ];
        let said = wishes(&mut Gesture::default(), &ground, &events);
        let to = |x, y| ImagePoint::new(x, y);
        assert_eq!(said.first(), Some(&A::PointMoved { index: 0, to: to(35.0, 20.0), done: false }));
        assert_eq!(said.last(), Some(&A::PointMoved { index: 0, to: to(40.0, 20.0), done: true }));
        assert_eq!(said.iter().filter(|a| matches!(a, A::PointMoved { done: true, .. })).count(), 1);
    }

    #[test]
    fn a_second_button_cancels_and_a_dragged_point_goes_home() {
        let home = ImagePoint::new(25.0, 10.0);
        let points = [CanvasPoint { at: home, polarity: Polarity::Include, waiting: false }];
        let ground = Ground { points: &points, ..ground() };
        let mut gesture = Gesture::default();
        let events = [
            press(Button::Left, 150.0, 120.0),
            PointerEvent::Moved { at: screen(190.0, 120.0) },
            press(Button::Right, 190.0, 120.0),
            release(Button::Right, 190.0, 120.0),
            release(Button::Left, 190.0, 120.0),
        ];
        let said = wishes(&mut gesture, &ground, &events);
        assert_eq!(said.last(), Some(&A::PointMoved { index: 0, to: home, done: true }));
        assert!(gesture.is_idle());
        let drag = [press(Button::Left, 120.0, 180.0), PointerEvent::Moved { at: screen(190.0, 220.0) }];
        assert_eq!(wishes(&mut gesture, &ground, &drag), []);
        assert!(gesture.rubber_band(&ground).is_some());
        assert_eq!(wishes(&mut gesture, &ground, &[press(Button::Right, 190.0, 220.0)]), []);
        assert!(gesture.rubber_band(&ground).is_none());
    }

    #[test]
    fn a_double_click_is_one_point_and_one_double_click() {
        let mut gesture = Gesture::default();
        let at = ImagePoint::new(25.0, 10.0);
        let points = [CanvasPoint { at, polarity: Polarity::Include, waiting: false }];
        let once = [press(Button::Left, 150.0, 120.0), release(Button::Left, 150.0, 120.0)];
        assert_eq!(wishes(&mut gesture, &ground(), &once), [A::Point { at, polarity: Polarity::Include }]);
        // The first click has become a point by now; the second one must not remove it.
        let later = Ground { points: &points, time_secs: 0.2, ..ground() };
        assert_eq!(wishes(&mut gesture, &later, &once), [A::DoubleClick { at }]);
        // Slower, or elsewhere, it is a new click.
        let much_later = Ground { time_secs: 5.0, ..ground() };
        assert_eq!(wishes(&mut gesture, &much_later, &once).len(), 1);
        let elsewhere = [press(Button::Left, 190.0, 160.0), release(Button::Left, 190.0, 160.0)];
        let soon = Ground { time_secs: 5.1, ..ground() };
        assert!(matches!(wishes(&mut gesture, &soon, &elsewhere)[..], [A::Point { .. }]));
    }

    #[test]
    fn middle_and_space_pan_and_say_nothing_else() {
        for (space, button) in [(false, Button::Middle), (true, Button::Left)] {
            let ground = Ground { space, interactive: false, ..ground() };
            let (mut gesture, mut said) = (Gesture::default(), Vec::new());
            for event in
                [press(button, 10.0, 10.0), PointerEvent::Moved { at: screen(15.0, 8.0) }, release(button, 16.0, 8.0)]
            {
                gesture.feed(event, &ground, &mut said);
            }
            assert_eq!(said, [Said::Pan(5.0, -2.0), Said::Pan(1.0, 0.0)]);
        }
    }

    #[test]
    fn selecting_finds_the_topmost_visible_instance() {
        use crate::raster::{Bitmap, Mask};
        let all = Mask::from_bitmap(&Bitmap::from_fn(200, 100, |_, _| true));
        let left = Mask::from_bitmap(&Bitmap::from_fn(200, 100, |x, _| x < 50));
        let instance = |key, mask| CanvasInstance { key, mask, color: [0; 3], hidden: false, selected: false };
        let hidden = CanvasInstance { hidden: true, ..instance(3, &all) };
        let instances = [instance(1, &all), instance(2, &left), hidden];
        let ground = Ground { instances: &instances, ..ground() };
        let found = |x, ctrl, tool| match click(&Ground { tool, ..ground }, Button::Left, false, ctrl, x, 120.0)[..] {
            [A::Select { instance, extend: false, .. }] => instance,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(found(150.0, true, CanvasTool::Prompt), Some(2));
        assert_eq!(found(450.0, false, CanvasTool::Select), Some(1));
        assert_eq!(found(50.0, false, CanvasTool::Select), None);
    }
}
