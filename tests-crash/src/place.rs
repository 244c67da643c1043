// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of a run, and how far each has come.

use std::time::Duration;

use crate::row::{Recorded, Row};

/// A row on its way.
pub(crate) enum Place {
    /// Its turn has not come.
    Waiting(Row),
    /// It was recorded.
    Ready(Box<Recorded>),
    /// The test itself failed.
    Failed(Row, String),
}

impl Place {
    pub(crate) fn recorded(&self) -> Option<&Recorded> {
        match self {
            Self::Ready(recorded) => Some(recorded),
            Self::Waiting(_) | Self::Failed(..) => None,
        }
    }

    /// The time that it has had; nothing if it does not want any more.
    pub(crate) fn time(&self) -> Option<Duration> {
        match self {
            Self::Waiting(_) => Some(Duration::ZERO),
            Self::Ready(recorded) => (!recorded.is_done).then_some(recorded.tally.time),
            Self::Failed(..) => None,
        }
    }
}
