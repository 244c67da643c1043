// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a recording a state is: the command, the write, and the system call behind it.

use crate::cuts::{Epoch, Kept, Part};
use crate::log::Event;
use crate::record::Recording;
use crate::trace::Call;

/// A moment of the log: the time and the command, from its markers.
#[derive(Debug, Clone, Default, PartialEq)]
struct Moment {
    /// The last marker before it, in seconds since 1970.
    after: f64,
    /// The first one behind it.
    before: f64,
    /// The phase of the operation.
    phase: String,
}

fn moment(events: &[Event], index: usize) -> Moment {
    let marker = |event: &Event| match event {
        Event::Marker(text) => {
            let (time, text) = text.split_once(' ')?;
            Some((time.parse::<f64>().ok()?, text.to_owned()))
        }
        _ => None,
    };
    let earlier = events.get(..index).unwrap_or_default();
    let later = events.get(index..).unwrap_or_default();
    let phase = earlier.iter().rev().filter_map(marker).find(|(_, text)| text != "tick");
    let after = earlier.iter().rev().find_map(marker);
    let before = later.iter().find_map(marker);
    Moment {
        after: after.map_or(0.0, |(time, _)| time),
        before: before.map_or(f64::MAX, |(time, _)| time),
        phase: phase.map_or_else(|| "mounting".to_owned(), |(_, text)| text),
    }
}

/// In which events the switch is made: from the write before the commit to what removes the old entries, for each commit.
pub(crate) fn commit_windows(recording: &Recording) -> Vec<std::ops::Range<usize>> {
    let times: Vec<(usize, f64)> = (recording.events.iter().enumerate())
        .filter_map(|(index, event)| match event {
            Event::Marker(text) => Some((index, text.split(' ').next()?.parse().ok()?)),
            _ => None,
        })
        .collect();
    let mut windows: Vec<std::ops::Range<usize>> = Vec::new();
    for (number, commit) in recording.calls.iter().enumerate().filter(|(_, call)| call.is_commit()) {
        let sweep = recording.calls.iter().skip(number).find(|call| call.is_sweep());
        let end = sweep.map_or(f64::MAX, |call| call.time);
        let start = times.iter().rev().find(|(_, time)| *time < commit.time).map_or(0, |(index, _)| *index);
        let end = times.iter().find(|(_, time)| *time > end);
        let end = end.map_or(recording.events.len(), |(index, _)| *index);
        // The write before it.
        let is_write = |event: &Event| !matches!(event, Event::Marker(_) | Event::Flush);
        let start = recording.events.iter().take(start).rposition(is_write).unwrap_or(start);
        windows.push(start..end);
    }
    windows
}

/// Tells a person where a state is.
pub(crate) fn describe(recording: &Recording, epoch: &Epoch, kept: &[Kept]) -> String {
    let first = epoch.writes.first().copied().unwrap_or_default();
    let last = kept.last().map_or(first, |kept| kept.event);
    let moment = moment(&recording.events, last);
    let lost: Vec<usize> =
        epoch.writes.iter().copied().filter(|event| kept.iter().all(|k| k.event != *event)).collect();
    let torn = kept.iter().find_map(|kept| match &kept.part {
        Part::Whole => None,
        Part::Sectors(range) => Some(format!(", of event {} only sectors {range:?}", kept.event)),
    });
    let at = match recording.events.get(last) {
        Some(Event::Write { sector, sectors, .. }) => format!("sectors {sector}+{sectors}"),
        other => format!("{other:?}"),
    };
    let calls: Vec<&Call> = recording.calls.iter().filter(|call| call.time <= moment.before).collect();
    let calls: Vec<&str> = calls.iter().rev().take(3).rev().map(|call| call.text.as_str()).collect();
    format!(
        "log {first}..={} kept up to event {last} ({at}), lost {lost:?}{}; during {:?}, {:.6}..{:.6}, behind {}",
        epoch.writes.last().copied().unwrap_or_default(),
        torn.unwrap_or_default(),
        moment.phase,
        moment.after,
        moment.before,
        calls.join(" · ")
    )
}
