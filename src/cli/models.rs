//! stub
use super::exit::Outcome;
use crate::inference::Segmenter;
#[derive(Debug, clap::Args)]
pub struct ModelsArguments {}
pub fn run(_: &ModelsArguments) -> Outcome<()> {
    todo!()
}
pub fn open(_: Option<&str>) -> Outcome<std::sync::Arc<dyn Segmenter>> {
    todo!()
}
