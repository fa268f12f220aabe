//! The renderer's own thread: colour conversion, mip levels and instance maps, so that no frame waits for them.
//!
//! Only the newest picture matters: work for an older one is skipped, and its results are dropped by their number.
//! Redraws that wait behind each other are joined. A panic in the work becomes a message, and the next job runs.

use super::instance_map::{self, IdPatch, Redraw};
use crate::raster::{Level, Picture, coarser_levels, finest_level};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Called from the renderer's thread when a frame should be drawn.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Work; `scene` counts the pictures shown.
pub(super) enum Job {
    Coarser { scene: u64, picture: Picture },
    Finest { scene: u64, picture: Picture },
    Instances { scene: u64, number: u64, picture: (u32, u32), halvings: u32, redraw: Redraw },
}

/// What came of it.
pub(super) enum Done {
    Coarser { scene: u64, levels: Arc<[Level]> },
    Finest { scene: u64, level: Level },
    Instances { scene: u64, number: u64, patches: Vec<IdPatch> },
    Failed { scene: u64, message: String },
}

/// Where the work is done.
pub(super) enum Worker {
    /// On a thread of its own, ended by dropping the sender.
    Thread { jobs: Sender<Job>, done: Receiver<Done> },
    /// At once, by the caller: for tests, where every frame must be complete.
    Inline { done: Vec<Done> },
}

impl Worker {
    /// Starts the thread; without one (the system refused) the work is done inline.
    pub fn threaded(wake: Wake) -> Self {
        let (jobs, queue) = channel();
        let (results, done) = channel();
        let body = move || run(&queue, &results, &wake);
        match std::thread::Builder::new().name("canvas-pixels".to_owned()).spawn(body) {
            Ok(_) => Self::Thread { jobs, done },
            Err(error) => {
                tracing::warn!("no thread for the canvas' pixels, frames may wait for them: {error}");
                Self::inline()
            }
        }
    }

    /// Does the work when it is asked for.
    pub fn inline() -> Self {
        Self::Inline { done: Vec::new() }
    }

    pub fn send(&mut self, job: Job) {
        match self {
            // The thread lives as long as this sender and fences panics, so it cannot be gone.
            Self::Thread { jobs, .. } => drop(jobs.send(job)),
            Self::Inline { done } => done.push(fenced(job)),
        }
    }

    pub fn receive(&mut self) -> Option<Done> {
        match self {
            Self::Thread { done, .. } => done.try_recv().ok(),
            Self::Inline { done } if done.is_empty() => None,
            Self::Inline { done } => Some(done.remove(0)),
        }
    }
}

fn run(queue: &Receiver<Job>, results: &Sender<Done>, wake: &Wake) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            let Ok(job) = queue.recv() else { return };
            waiting.push(job);
        }
        waiting.extend(queue.try_iter());
        waiting = condensed(waiting);
        if results.send(fenced(waiting.remove(0))).is_err() {
            return;
        }
        wake();
    }
}

/// The same work without what nobody waits for any more.
fn condensed(jobs: Vec<Job>) -> Vec<Job> {
    let scene_of = |job: &Job| match job {
        Job::Coarser { scene, .. } | Job::Finest { scene, .. } | Job::Instances { scene, .. } => *scene,
    };
    let newest = jobs.iter().map(scene_of).max().unwrap_or(0);
    let mut kept: Vec<Job> = Vec::new();
    for job in jobs.into_iter().filter(|job| scene_of(job) == newest) {
        match (kept.last_mut(), job) {
            (Some(Job::Instances { number, redraw, .. }), Job::Instances { number: later, redraw: next, .. }) => {
                *number = later;
                *redraw = std::mem::take(redraw).followed_by(next);
            }
            (_, job) => kept.push(job),
        }
    }
    kept
}

fn fenced(job: Job) -> Done {
    let scene = match &job {
        Job::Coarser { scene, .. } | Job::Finest { scene, .. } | Job::Instances { scene, .. } => *scene,
    };
    catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or_else(|_| Done::Failed {
        scene,
        message: "The canvas failed to prepare this picture; please report it with the picture".to_owned(),
    })
}

fn work(job: Job) -> Done {
    match job {
        Job::Coarser { scene, picture } => Done::Coarser { scene, levels: coarser_levels(&picture).into() },
        Job::Finest { scene, picture } => Done::Finest { scene, level: finest_level(&picture) },
        Job::Instances { scene, number, picture, halvings, redraw } => {
            Done::Instances { scene, number, patches: instance_map::redraw(picture, halvings, &redraw) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::PixelRect;

    fn redraw_job(scene: u64, number: u64, x: u32) -> Job {
        let dirty = vec![PixelRect { x, y: 0, width: 1, height: 1 }];
        let redraw = Redraw { dirty, layers: Vec::new() };
        Job::Instances { scene, number, picture: (4, 4), halvings: 0, redraw }
    }

    #[test]
    fn waiting_redraws_are_joined_and_older_scenes_dropped() {
        let kept = condensed(vec![redraw_job(1, 1, 0), redraw_job(2, 2, 1), redraw_job(2, 3, 2)]);
        let [Job::Instances { scene: 2, number: 3, redraw, .. }] = kept.as_slice() else { panic!("one job") };
        assert_eq!(redraw.dirty.iter().map(|r| r.x).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_panic_becomes_a_message_and_the_next_job_runs() {
        let (woken, wakes) = channel();
        let mut worker = Worker::threaded(Arc::new(move || woken.send(()).expect("the test waits")));
        // Too few bytes for its size: the only way to make the work fail.
        let broken = Picture { width: 4, height: 9, rgb: Vec::new().into(), notes: Vec::new() };
        worker.send(Job::Coarser { scene: 1, picture: broken });
        wakes.recv().expect("the thread lives");
        assert!(matches!(worker.receive(), Some(Done::Failed { scene: 1, .. })));
        worker.send(redraw_job(1, 5, 0));
        wakes.recv().expect("the thread lives");
        assert!(matches!(worker.receive(), Some(Done::Instances { number: 5, .. })));
    }
}
