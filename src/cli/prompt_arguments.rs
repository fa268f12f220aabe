//! `--point`, `--not`, `--box` and `--mask` in the order in which they stand on the command line.
//!
//! Invariant: order is meaning. A prompt is replayed step by step, so `--point A --box B` and `--box B --point A` are
//! two prompts. clap keeps the values of each flag apart; their places are asked for and the flags are merged again.

use crate::geometry::{ImagePoint, ImageRect};
use crate::prompt::Polarity;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::path::PathBuf;

/// One prompt flag with its value.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptArgument {
    /// `--point` or `--not`.
    Point {
        /// Where, in picture pixels.
        at: ImagePoint,
        /// Which of the two flags.
        polarity: Polarity,
    },
    /// `--box`.
    Box(ImageRect),
    /// `--mask`.
    Mask(PathBuf),
}

impl PromptArgument {
    /// The flag's name, for messages.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Point { polarity: Polarity::Include, .. } => "--point",
            Self::Point { polarity: Polarity::Exclude, .. } => "--not",
            Self::Box(_) => "--box",
            Self::Mask(_) => "--mask",
        }
    }
}

/// All prompt flags in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromptArguments {
    /// As they stand on the command line.
    pub steps: Vec<PromptArgument>,
}

impl PromptArguments {
    /// The steps of each object. One box or none: one object, all steps. Several boxes: each starts an object, and the
    /// points and masks after it, up to the next box, belong to it.
    ///
    /// # Errors
    /// No step at all; several boxes with a step before the first, since its object is then anybody's guess.
    pub fn objects(&self) -> Result<Vec<Vec<PromptArgument>>, String> {
        let is_box = |step: &&PromptArgument| matches!(step, PromptArgument::Box(_));
        let Some(first) = self.steps.first() else {
            return Err("nothing says where the object is; give --point X,Y, --box X0,Y0,X1,Y1 or --mask FILE".into());
        };
        if self.steps.iter().filter(is_box).count() < 2 {
            return Ok(vec![self.steps.clone()]);
        }
        if !is_box(&first) {
            return Err(format!(
                "several --box are several objects, and points and masks belong to the box before them; {} stands \
                 before the first --box: move it behind the box that it belongs to",
                first.flag()
            ));
        }
        let mut objects: Vec<Vec<PromptArgument>> = Vec::new();
        for step in &self.steps {
            match objects.last_mut() {
                Some(object) if !is_box(&step) => object.push(step.clone()),
                _ => objects.push(vec![step.clone()]),
            }
        }
        Ok(objects)
    }
}

impl Args for PromptArguments {
    fn augment_args(command: Command) -> Command {
        let many = |id: &'static str, value: &'static str| {
            // Hyphens: `--point -3,4` is a point outside the picture and is told so, not an unknown flag.
            Arg::new(id)
                .long(id)
                .value_name(value)
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help_heading("Prompt, replayed in the order given")
        };
        command
            .arg(many("point", "X,Y").value_parser(parse_point).help("A point on the object, in picture pixels"))
            .arg(many("not", "X,Y").value_parser(parse_point).help("A point that the object does not cover"))
            .arg(many("box", "X0,Y0,X1,Y1").value_parser(parse_rect).help(
                "A box around the object, by two opposite corners. Several boxes are several objects; points and \
                 masks then belong to the box before them",
            ))
            .arg(
                many("mask", "PREV.png")
                    .value_parser(value_parser!(PathBuf))
                    .allow_hyphen_values(false)
                    .help("An earlier mask to start from: a grey picture of the same size, 128 and more is inside"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PromptArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed = Vec::new();
        let point = |polarity| move |at: &ImagePoint| PromptArgument::Point { at: *at, polarity };
        collect(matches, "point", point(Polarity::Include), &mut placed);
        collect(matches, "not", point(Polarity::Exclude), &mut placed);
        collect(matches, "box", |rect: &ImageRect| PromptArgument::Box(*rect), &mut placed);
        collect(matches, "mask", |path: &PathBuf| PromptArgument::Mask(path.clone()), &mut placed);
        placed.sort_by_key(|&(place, _)| place);
        Ok(Self { steps: placed.into_iter().map(|(_, step)| step).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of one flag with their places on the command line.
fn collect<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    id: &str,
    step: impl Fn(&T) -> PromptArgument,
    placed: &mut Vec<(usize, PromptArgument)>,
) {
    if matches.value_source(id) != Some(ValueSource::CommandLine) {
        return;
    }
    if let (Some(values), Some(places)) = (matches.get_many::<T>(id), matches.indices_of(id)) {
        placed.extend(places.zip(values.map(step)));
    }
}

/// `X,Y`.
fn parse_point(text: &str) -> Result<ImagePoint, String> {
    let [x, y] = parse_numbers(text, "X,Y", "120,80.5")?;
    Ok(ImagePoint::new(x, y))
}

/// `X0,Y0,X1,Y1`, two opposite corners in any order.
///
/// # Errors
/// Not four numbers, or a rectangle without area.
pub fn parse_rect(text: &str) -> Result<ImageRect, String> {
    let [x0, y0, x1, y1] = parse_numbers(text, "X0,Y0,X1,Y1", "10,20,200,180")?;
    let rect = ImageRect::from_corners(ImagePoint::new(x0, y0), ImagePoint::new(x1, y1));
    if rect.width() > 0.0 && rect.height() > 0.0 {
        Ok(rect)
    } else {
        Err("the rectangle has no area; give two opposite corners X0,Y0,X1,Y1".into())
    }
}

/// `N` numbers with commas between them; infinities and NaN are no coordinates.
fn parse_numbers<const N: usize>(text: &str, form: &str, example: &str) -> Result<[f32; N], String> {
    let wrong = || format!("expected {form} in picture pixels, for instance {example}");
    let numbers: Vec<f32> = text
        .split(',')
        .map(|part| part.trim().parse::<f32>().ok().filter(|number| number.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    numbers.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<PromptArguments, clap::Error> {
        let command = PromptArguments::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from(std::iter::once("test").chain(line.split_whitespace()))?;
        PromptArguments::from_arg_matches(&matches)
    }

    fn flags(steps: &[PromptArgument]) -> Vec<&'static str> {
        steps.iter().map(PromptArgument::flag).collect()
    }

    #[test]
    fn flags_keep_their_order_across_each_other() {
        let line = "--not 1,2 --box 0,0,9,9 --point 3,4 --mask m.png --not=5,6 --point 7,8";
        let parsed = parse(line).unwrap();
        assert_eq!(flags(&parsed.steps), ["--not", "--box", "--point", "--mask", "--not", "--point"]);
        let third = PromptArgument::Point { at: ImagePoint::new(3.0, 4.0), polarity: Polarity::Include };
        assert_eq!(parsed.steps[2], third);
        let last = PromptArgument::Point { at: ImagePoint::new(7.0, 8.0), polarity: Polarity::Include };
        assert_eq!(parsed.steps[5], last);
        assert_eq!(parsed.objects().unwrap().len(), 1, "one box is one object, whatever stands before it");
    }

    #[test]
    fn each_of_several_boxes_is_an_object_with_what_follows_it() {
        let parsed = parse("--box 0,0,9,9 --not 1,2 --box 9,9,20,20 --box 5,5,8,8 --point 6,6").unwrap();
        let objects: Vec<_> = parsed.objects().unwrap().iter().map(|object| flags(object)).collect();
        assert_eq!(objects, [vec!["--box", "--not"], vec!["--box"], vec!["--box", "--point"]]);
        let ambiguous = parse("--point 1,2 --box 0,0,9,9 --box 9,9,20,20").unwrap().objects().unwrap_err();
        assert!(ambiguous.contains("--point") && ambiguous.contains("before the first --box"), "{ambiguous}");
        assert!(parse("").unwrap().objects().unwrap_err().contains("--point"));
    }

    #[test]
    fn coordinates_that_are_none_are_refused() {
        for bad in ["1", "1,2,3", "a,b", "nan,1", "1,inf", "", "1;2"] {
            assert!(parse_point(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_point("-3, 4.5").unwrap(), ImagePoint::new(-3.0, 4.5));
        assert!(parse("--point -3,4").is_ok(), "a negative number is a value");
        assert!(parse_rect("1,2,1,9").is_err(), "no area");
        assert_eq!(parse_rect("9,8,1,2").unwrap(), ImageRect { x0: 1.0, y0: 2.0, x1: 9.0, y1: 8.0 });
    }
}
