// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a case smaller while it still shows the same difference.

use std::time::{Duration, Instant};

use crate::case::{Call, Case, Kind, Step};

/// Whether a case still shows it.
type Shows<'a> = dyn FnMut(&Case) -> bool + 'a;

/// How long it is tried.
const PATIENCE: Duration = Duration::from_secs(20);

/// The smallest case that was found.
pub(crate) fn smallest(case: &Case, shows: &mut Shows<'_>) -> Case {
    let end = Instant::now() + PATIENCE;
    let mut best = case.clone();
    loop {
        let before = best.clone();
        for pass in [without_steps, without_parts, plainer] {
            pass(&mut best, end, shows);
        }
        if best == before || Instant::now() > end {
            return best;
        }
    }
}

/// Tries a change; keeps it where the difference stays.
fn attempt(best: &mut Case, end: Instant, shows: &mut Shows<'_>, change: impl Fn(&mut Case)) -> bool {
    if Instant::now() > end {
        return false;
    }
    let mut next = best.clone();
    change(&mut next);
    let kept = next != *best && shows(&next);
    if kept {
        *best = next;
    }
    kept
}

/// Takes out runs of steps: first halves, then smaller ones.
fn without_steps(best: &mut Case, end: Instant, shows: &mut Shows<'_>) {
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = best.steps.len();
        while at > 0 {
            at = at.saturating_sub(size);
            attempt(best, end, shows, |case| {
                let last = (at + size).min(case.steps.len());
                case.steps.drain(at.min(last)..last);
            });
        }
        size /= 2;
    }
}

/// Takes out entries of trees, options and arguments.
fn without_parts(best: &mut Case, end: Instant, shows: &mut Shows<'_>) {
    for at in (0..best.steps.len()).rev() {
        let parts = match best.steps.get(at) {
            Some(Step::Make(entries)) => entries.len(),
            Some(Step::Run(call)) => call.options.len() + call.rest.len(),
            None => 0,
        };
        for part in (0..parts).rev() {
            attempt(best, end, shows, |case| match case.steps.get_mut(at) {
                Some(Step::Make(entries)) if part < entries.len() => {
                    entries.remove(part);
                }
                Some(Step::Run(call)) if part < call.options.len() => {
                    // Without one a commit has the time of the run, which is another in each world.
                    let is_time = |word: &String| word.starts_with("--timestamp=");
                    if !call.options.get(part).is_some_and(|option| option.iter().any(is_time)) {
                        call.options.remove(part);
                    }
                }
                Some(Step::Run(call)) if removable(call, part - call.options.len()) => {
                    call.rest.remove(part - call.options.len());
                }
                _ => {}
            });
        }
    }
}

/// Whether it is still such a command without the argument.
fn removable(call: &Call, at: usize) -> bool {
    let trees = call.rest.iter().filter(|word| word.starts_with("--tree=")).count();
    match call.command() {
        "commit" => trees > 1 && call.rest.get(at).is_some_and(|word| word.starts_with("--tree=")),
        "ls" | "pull-local" => at > 0 && at < call.rest.len(),
        _ => false,
    }
}

/// Makes what is left plain: owners, modes, attributes and sizes of files, and the two programs in their places.
fn plainer(best: &mut Case, end: Instant, shows: &mut Shows<'_>) {
    for at in 0..best.steps.len() {
        attempt(best, end, shows, |case| {
            if let Some(Step::Run(call)) = case.steps.get_mut(at) {
                call.swapped = false;
            }
        });
        let entries = match best.steps.get(at) {
            Some(Step::Make(entries)) => entries.len(),
            _ => 0,
        };
        for number in 0..entries {
            for change in 0..4 {
                attempt(best, end, shows, |case| {
                    let Some(Step::Make(entries)) = case.steps.get_mut(at) else { return };
                    let Some(entry) = entries.get_mut(number) else { return };
                    match change {
                        0 => entry.xattrs.clear(),
                        1 => entry.owner = (0, 0),
                        2 => entry.mode = if entry.kind == Kind::Directory { 0o755 } else { 0o644 },
                        _ => {
                            if let Kind::Filled(size, _) = &mut entry.kind {
                                *size = 1.min(*size);
                            }
                        }
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Entry;

    #[test]
    fn only_the_step_that_matters_is_left() {
        let call = |word: &str| {
            Step::Run(Call {
                head: vec!["--repo=r".to_owned(), word.to_owned()],
                options: vec![vec!["--a".to_owned()], vec!["--b".to_owned()]],
                rest: vec!["x".to_owned()],
                ..Call::default()
            })
        };
        let entry = Entry::plain("t".to_owned(), Kind::Directory);
        let case = Case { steps: vec![call("one"), Step::Make(vec![entry]), call("two"), call("three")] };
        let small = smallest(&case, &mut |case| {
            case.steps
                .iter()
                .any(|step| matches!(step, Step::Run(call) if call.command() == "two" && call.has("--b")))
        });
        let [Step::Run(left)] = &small.steps[..] else { panic!("{small:?}") };
        assert_eq!(left.words(), ["--repo=r", "two", "--b", "x"]);
    }
}
