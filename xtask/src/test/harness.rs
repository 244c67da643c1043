// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what test harnesses print, while they print it.

use super::outcome::Outcome;

/// The output of `cargo test`, program by program.
#[derive(Default)]
pub(super) struct Programs {
    /// The program that runs.
    name: String,
    /// Its output so far, less the lines of tests that passed.
    said: Vec<String>,
    /// Its tests that were skipped because they need root.
    without_root: u32,
}

impl Programs {
    /// Takes a line; returns what is to be told: at the end of a program its counts, after all that one with failures said.
    pub(super) fn take(&mut self, line: &str) -> Vec<String> {
        if let Some(name) = program(line) {
            *self = Self { name, ..Self::default() };
            return Vec::new();
        }
        let Some((_, result)) = line.split_once("test result: ") else {
            self.without_root += u32::from(skipped_without_root(line).is_some());
            if !line.is_empty() && !line.ends_with(" ... ok") {
                self.said.push(line.to_owned());
            }
            return Vec::new();
        };
        let counts = Outcome::of_result(result).less_skipped(std::mem::take(&mut self.without_root));
        let mut told = Vec::new();
        if counts.failed > 0 {
            told.append(&mut self.said);
        }
        let seconds = result.rsplit("finished in ").next().unwrap_or_default().trim_end_matches('s');
        if counts.passed + counts.failed + counts.skipped > 0 {
            told.push(format!(
                "{}: {} passed, {} failed, {} skipped in {seconds} s",
                self.name, counts.passed, counts.failed, counts.skipped
            ));
        }
        self.said.clear();
        told
    }

    /// The program that runs, to say where a long stage is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The output since the last program ended: the reason why nothing came after it.
    pub(super) fn rest(self) -> Vec<String> {
        self.said
    }
}

/// The crate and the file, of `Running tests/a.rs (target/debug/deps/a-0123456789abcdef)` and of `Doc-tests a`.
fn program(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(of) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{of}, examples in comments"));
    }
    let (what, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let file = path.trim_end_matches(')').rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    Some(format!("{name}, {}", what.trim_start_matches("unittests ")))
}

/// The end of the line that a `#[test]` prints when it is skipped, and of the name of such a trial (the crate `test-world`).
const NEEDS_ROOT: [&str; 2] = [": needs root", " (needs root)"];

/// The `#[test]` that was skipped because it needs root. Its harness takes it for one that has passed.
fn skipped_without_root(line: &str) -> Option<&str> {
    line.split_once("skipped: ")?.1.strip_suffix(NEEDS_ROOT[0])
}

/// A line of a driver that runs one thing after another, less what its harness repeats at its end.
#[derive(Default)]
pub(super) struct Steps {
    summary: bool,
}

impl Steps {
    /// The line, if it is to be told.
    pub(super) fn take<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        self.summary |= line == "failures:";
        let harness = ["test ", "running ", "test result:"].iter().any(|word| line.starts_with(word));
        (!self.summary && !harness && !line.is_empty()).then_some(line)
    }
}

impl Outcome {
    /// The counts of `ok. 3 passed; 0 failed; 1 ignored; …`, which stands behind `test result: `.
    fn of_result(result: &str) -> Self {
        let number = |what: &str| {
            let words = result.split(['.', ';']).filter_map(|part| part.trim().strip_suffix(what));
            words.filter_map(|count| count.trim().parse::<u32>().ok()).sum::<u32>()
        };
        Self {
            passed: number(" passed"),
            failed: number(" failed"),
            skipped: number(" ignored"),
            notes: Vec::new(),
        }
    }

    /// Counts tests as skipped that their harness has counted as passed.
    fn less_skipped(mut self, count: u32) -> Self {
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
        self
    }

    /// Fails if a test was skipped because it needs root.
    pub(super) fn refuse_skipped_without_root(&mut self) {
        let is_one = |note: &&String| {
            note.starts_with("skipped: ") && NEEDS_ROOT.iter().any(|end| note.trim_end().ends_with(end))
        };
        let count = self.notes.iter().filter(is_one).count();
        if count > 0 {
            self.failed += 1;
            self.notes.push(format!("FAILED: {count} tests need root and were skipped"));
        }
    }

    /// Adds up the lines `test result: …` and names the tests that failed, were ignored or skipped.
    pub(super) fn count(output: &str) -> Self {
        let mut outcome = Self::default();
        let mut without_root = 0;
        for line in output.lines() {
            if let Some(name) = skipped_without_root(line) {
                without_root += 1;
                outcome.notes.push(format!("skipped: {name}: needs root"));
            } else if let Some((_, result)) = line.split_once("test result: ") {
                let counts = Self::of_result(result);
                outcome.passed += counts.passed;
                outcome.failed += counts.failed;
                outcome.skipped += counts.skipped;
            } else if let Some(name) = line.strip_prefix("test ") {
                if let Some((name, _)) = name.split_once(" ... FAILED") {
                    outcome.notes.push(format!("FAILED: {name}"));
                } else if let Some((name, why)) = name.split_once(" ... ignored") {
                    outcome.notes.push(format!("skipped: {name}{why}"));
                }
            }
        }
        outcome.less_skipped(without_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 4 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, needs a thing\n\
        test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
        test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s\n";

    #[test]
    fn harness_output() {
        let outcome = Outcome::count(OUTPUT);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (6, 1, 1));
        assert_eq!(outcome.notes, ["FAILED: c", "skipped: d, needs a thing"]);
    }

    #[test]
    fn tests_without_root_are_skipped_and_never_passed() {
        let output = "running 4 tests\ntest a ... ok\nskipped: b::c: needs root\ntest c ... ok\n\
            test d ... skipped: b::d: needs root\nok\ntest e (needs root) ... ignored\ntest f (needs PEER) ... ignored\n\
            test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 2.50s\n";
        let mut outcome = Outcome::count(output);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (1, 0, 4));
        outcome.refuse_skipped_without_root();
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (1, 1, 4));
        assert_eq!(outcome.notes[0], "skipped: b::c: needs root");
        assert_eq!(outcome.notes.last().unwrap(), "FAILED: 3 tests need root and were skipped");

        let mut programs = Programs::default();
        let told: Vec<String> = output.lines().flat_map(|line| programs.take(line)).collect();
        assert_eq!(told, [": 1 passed, 0 failed, 4 skipped in 2.50 s"]);

        let mut usual = Outcome::count(OUTPUT);
        usual.refuse_skipped_without_root();
        assert_eq!(usual, Outcome::count(OUTPUT));
    }

    #[test]
    fn programs_have_names() {
        for (line, expected) in [
            (
                "     Running unittests src/lib.rs (target/debug/deps/durable-0123)",
                Some("durable, src/lib.rs"),
            ),
            ("     Running tests/a.rs (/t/debug/deps/a_b-0123)", Some("a_b, tests/a.rs")),
            ("   Doc-tests formats", Some("formats, examples in comments")),
            ("Running out of names", None),
            ("test a ... ok", None),
        ] {
            assert_eq!(program(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_failure_is_told_with_its_output_when_its_program_ends() {
        let mut programs = Programs::default();
        let mut told = Vec::new();
        for line in [
            "   Compiling a v0.1.0",
            "     Running tests/a.rs (target/debug/deps/a-0123)",
            "running 2 tests",
            "test b ... ok",
            "test c ... FAILED",
            "---- c stdout ----",
            "left: 1",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.50s",
            "   Doc-tests a",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "     Running tests/d.rs (target/debug/deps/d-0123)",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "error: 1 target failed:",
        ] {
            told.extend(programs.take(line));
        }
        let expected = [
            "running 2 tests",
            "test c ... FAILED",
            "---- c stdout ----",
            "left: 1",
            "a, tests/a.rs: 1 passed, 1 failed, 0 skipped in 2.50 s",
            "d, tests/d.rs: 3 passed, 0 failed, 0 skipped in 1.00 s",
        ];
        assert_eq!(told, expected);
        assert_eq!(programs.rest(), ["error: 1 target failed:"]);
    }

    #[test]
    fn steps_without_their_summary() {
        let mut steps = Steps::default();
        let lines = [
            "running 2 tests",
            "Debian by EFI: 61.5 s",
            "scenario a: FAILED in 61 s: why",
            "",
            "test a ... FAILED",
            "failures:",
            "why",
        ];
        let told: Vec<&str> = lines.iter().filter_map(|line| steps.take(line)).collect();
        assert_eq!(told, ["Debian by EFI: 61.5 s", "scenario a: FAILED in 61 s: why"]);
    }
}
