// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a run has come, a line at a time on standard output, for who reads it from a pipe hours later or while it runs.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use crate::terminal;

/// No longer than this is nothing said.
const PATIENCE: Duration = Duration::from_secs(120);

/// Speaks for the stage that runs; a thread beside it speaks when the stage does not.
pub(super) struct Tell {
    state: Arc<Mutex<State>>,
    /// Nothing is ever sent: its end is the end of the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    stage: &'static str,
    began: Instant,
    spoke: Instant,
}

impl Tell {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State { stage: "", began: now, spoke: now };
        let state = Arc::new(Mutex::new(state));
        let (end, ended) = channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || beat(&shared, &ended));
        Self { state, end: Some(end), thread: Some(thread) }
    }

    /// A stage begins.
    pub(super) fn begin(&self, stage: &'static str) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        terminal::note("");
        *state = State { stage, began: now, spoke: now };
        println!("stage {stage}: begins");
    }

    /// The stage has ended; the time that it took.
    pub(super) fn end(&self, outcome: &Outcome) -> Duration {
        let mut state = lock(&self.state);
        let took = state.began.elapsed();
        state.spoke = Instant::now();
        println!("{}", ended(state.stage, outcome, took));
        took
    }

    /// Says what a long stage has done. Who watches on a terminal has seen it.
    pub(super) fn line(&self, line: &str) {
        let mut state = lock(&self.state);
        state.spoke = Instant::now();
        if !terminal::watched() {
            println!("  {line}");
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic of it has printed itself.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn beat(state: &Mutex<State>, ended: &Receiver<()>) {
    let mut wait = PATIENCE;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let mut state = lock(state);
        let now = Instant::now();
        if let Some(line) = overdue(&state, now, &terminal::noted()) {
            println!("{line}");
            state.spoke = now;
        }
        wait = PATIENCE.saturating_sub(now.duration_since(state.spoke)).max(Duration::from_secs(1));
    }
}

/// The line for a stage that has said nothing for too long.
fn overdue(state: &State, now: Instant, at: &str) -> Option<String> {
    if state.stage.is_empty() || now.duration_since(state.spoke) < PATIENCE {
        return None;
    }
    let at = if at.is_empty() { String::new() } else { format!(", at: {at}") };
    Some(format!("  {}: {} s so far{at}", state.stage, now.duration_since(state.began).as_secs()))
}

/// The line at the end of a stage.
fn ended(stage: &str, outcome: &Outcome, took: Duration) -> String {
    let Outcome { passed, failed, skipped, .. } = outcome;
    let seconds = took.as_secs_f64();
    format!("stage {stage}: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.0} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_at_the_end() {
        let outcome = Outcome { skipped: 2, ..Outcome::passed(812) };
        assert_eq!(
            ended("tests", &outcome, Duration::from_millis(321_400)),
            "stage tests: 812 passed, 0 failed, 2 skipped in 321 s"
        );
    }

    #[test]
    fn silence_is_broken_when_it_lasts() {
        let began = Instant::now();
        let spoke = began + Duration::from_secs(30);
        let mut state = State { stage: "crash", began, spoke };
        assert_eq!(overdue(&state, spoke + Duration::from_secs(119), ""), None);
        let late = spoke + Duration::from_secs(121);
        assert_eq!(overdue(&state, late, "").as_deref(), Some("  crash: 151 s so far"));
        assert_eq!(overdue(&state, late, "a row").as_deref(), Some("  crash: 151 s so far, at: a row"));
        state.stage = "";
        assert_eq!(overdue(&state, late, "a row"), None);
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let tell = Tell::new();
        tell.begin("a");
        assert!(tell.end(&Outcome::default()) < PATIENCE);
    }
}
