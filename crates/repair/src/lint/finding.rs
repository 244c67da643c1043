// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings of a look at a tree.

use serde::Serialize;

/// A fault or a trap in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// Its path, from the top of the tree.
    pub path: String,
    /// The fault.
    pub text: String,
    /// The way to mend it.
    pub fix: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is refused by a deployment, does not boot, or must not be on several machines.
    Error,
    /// It works, and surprises somebody later.
    Warning,
}

/// The findings of a check, as it goes on.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>, fix: &str) {
        let (path, text) = (path.to_owned(), text.into().replace('\n', " "));
        self.0.push(Finding { severity, path, text, fix: fix.to_owned() });
    }

    pub(super) fn error(&mut self, path: &str, text: impl Into<String>, fix: &str) {
        self.add(Severity::Error, path, text, fix);
    }

    pub(super) fn warning(&mut self, path: &str, text: impl Into<String>, fix: &str) {
        self.add(Severity::Warning, path, text, fix);
    }
}
