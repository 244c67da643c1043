// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a seed to a case: random commands, each with a random set of its options.

use crate::case::{Call, Case, Entry, Kind, Step};
use crate::random::Random;
use crate::trees;

const MODES: [&str; 4] = ["archive", "bare", "bare-user", "archive-z2"];
const BRANCHES: [&str; 7] = ["m", "n", "foo/bar", "foo/baz", "x86_64/std", "with.dot", "a_b"];
const TREES: [&str; 3] = ["t0", "t1", "t2"];
const CHECKOUTS: [&str; 3] = ["c0", "c1", "c2"];
const PATHS: [&str; 8] = ["/", "/a", "/b", "/usr", "/bin", "/file.txt", "/ä", "/does-not-exist"];
/// How many steps a case has at most.
const STEPS: usize = 14;

/// The state while a case grows.
struct Grower {
    random: Random,
    repositories: Vec<String>,
    steps: Vec<Step>,
    number: usize,
    time: u64,
    /// Whether the programs ever change places.
    crossing: bool,
    /// The calls that print a commit.
    commits: Vec<usize>,
}

/// Grows the case of this seed.
pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let crossing = random.one_in(2);
    let mut grower = Grower {
        random,
        repositories: Vec::new(),
        steps: Vec::new(),
        number: 0,
        time: 1_500_000_000,
        crossing,
        commits: Vec::new(),
    };
    grower.begin();
    for _ in 0..3 + grower.random.below(STEPS) {
        grower.step();
    }
    Case { steps: grower.steps }
}

impl Grower {
    fn begin(&mut self) {
        for number in 0..=self.random.below(3) {
            let name = format!("r{number}");
            let mode = self.random.pick(&MODES);
            self.repositories.push(name.clone());
            let mut rest = vec![format!("--mode={mode}")];
            if self.random.one_in(12) {
                rest.push("--collection-id=org.example.Collection".to_owned());
            }
            self.call(&name, "init", Vec::new(), rest);
            // Flushing takes most of the time and has tests of its own.
            self.call(&name, "config", Vec::new(), words(&["set", "core.fsync", "false"]));
        }
        self.tree("t0");
        self.lists();
        self.commit();
    }

    /// The files for `--skip-list` and `--statoverride`: mostly paths that the tree has.
    fn lists(&mut self) {
        let Some(Step::Make(entries)) = self.steps.last() else { return };
        let of_tree =
            |entry: &Entry| entry.path.strip_prefix("t0").filter(|path| !path.is_empty()).map(str::to_owned);
        let paths: Vec<String> =
            entries.iter().filter_map(of_tree).filter(|path| !path.contains('\n')).collect();
        let (mut skips, mut overrides) = (String::new(), String::new());
        for _ in 0..=self.random.below(2) {
            let (skip, over) = (self.random.pick(&paths), self.random.pick(&paths));
            if !paths.is_empty() {
                skips += &format!("{skip}\n");
                overrides += &format!(
                    "{}{} {over}\n",
                    self.random.pick(&["+", "="]),
                    self.random.pick(&["2048", "1024", "384", "493"])
                );
            }
        }
        if self.random.one_in(30) {
            skips += "/never-there\n";
        }
        let text = |path: &str, text: String| Entry::plain(path.to_owned(), Kind::Text(text));
        self.steps.push(Step::Make(vec![text("skips", skips), text("overrides", overrides)]));
    }

    fn step(&mut self) {
        match self.random.below(28) {
            0..2 => {
                let tree = self.random.pick(&TREES);
                self.tree(tree);
            }
            2..8 => self.commit(),
            8..13 => self.checkout(),
            13..15 => self.ls(),
            15..18 => self.refs(),
            18 => self.read(),
            19 => self.diff(),
            20..22 => self.prune(),
            22 => self.fsck(),
            23 => self.pull_local(),
            24 => self.config(),
            25 | 26 => self.layers(),
            _ => self.reset(),
        }
    }

    fn tree(&mut self, root: &str) {
        let entries = trees::grow(&mut self.random, root);
        self.steps.push(Step::Make(entries));
    }

    fn call(&mut self, repository: &str, command: &str, options: Vec<Vec<String>>, rest: Vec<String>) {
        self.number += 1;
        let swapped = self.crossing && self.random.one_in(2);
        let head = vec![format!("--repo={repository}"), command.to_owned()];
        self.steps.push(Step::Run(Call { number: self.number, swapped, head, options, rest }));
    }

    fn repository(&mut self) -> String {
        self.random.pick(&self.repositories)
    }

    fn revision(&mut self) -> String {
        let base = match self.random.below(8) {
            0..3 if !self.commits.is_empty() => format!("@C{}@", self.random.pick(&self.commits)),
            3 => self.random.pick(&["nothing", "m^^^^^", "0123", "", "m^"]).to_owned(),
            _ => self.branch(),
        };
        if self.random.one_in(8) { format!("{base}^") } else { base }
    }

    fn branch(&mut self) -> String {
        // The first is by far the likeliest to be there.
        if self.random.one_in(2) { "m".to_owned() } else { self.random.pick(&BRANCHES).to_owned() }
    }

    /// Some of these, each once in `times`.
    fn some(&mut self, from: &[&str], times: usize) -> Vec<Vec<String>> {
        from.iter().filter(|_| self.random.one_in(times)).map(|word| words(&[word])).collect()
    }

    fn commit(&mut self) {
        let repository = self.repository();
        let mut options = self.some(
            &[
                "--subject=A subject",
                "--body=Of two\nlines",
                "--parent=none",
                "--no-bindings",
                "--bind-ref=other",
                "--bind-ref=m",
                "--add-metadata-string=version=1.0",
                "--add-metadata-string=a=ü",
                "--keep-metadata=version",
                "--add-metadata=n=uint32 5",
                "--add-metadata=l=['a', 'b']",
                "--add-metadata=t=(true, @ay [0x01])",
                "--add-detached-metadata-string=d=1",
                "--owner-uid=0",
                "--owner-gid=0",
                "--owner-uid=77",
                "--mode-ro-executables",
                "--link-checkout-speedup",
                "--devino-canonical",
                "--skip-if-unchanged",
                "--table-output",
                "--bootable",
                "--consume",
            ],
            12,
        );
        options.extend(self.some(
            &["--canonical-permissions", "--no-xattrs", "--skip-list=skips", "--statoverride=overrides"],
            7,
        ));
        if self.random.one_in(12) {
            let parent = self.revision();
            options.push(vec![format!("--parent={parent}")]);
        }
        let time = if self.random.one_in(4) { self.random.below(1_000_000) as u64 } else { 0 };
        self.time += 1000 + time;
        options.push(vec![format!("--timestamp=@{}", self.time)]);
        let mut rest = match self.random.below(10) {
            0 => words(&["--orphan"]),
            _ => vec!["-b".to_owned(), self.branch()],
        };
        if self.random.one_in(15) {
            let base = self.revision();
            options.push(vec![format!("--base={base}")]);
        }
        match self.random.below(8) {
            0..4 => rest.push(self.source()),
            4..6 => rest.push(format!("--tree=dir={}", self.source())),
            _ => {
                for _ in 0..=self.random.below(3) {
                    let word = match self.random.below(3) {
                        0 => format!("--tree=ref={}", self.revision()),
                        _ => format!("--tree=dir={}", self.source()),
                    };
                    rest.push(word);
                }
            }
        }
        self.call(&repository, "commit", options, rest);
        self.commits.push(self.number);
    }

    fn source(&mut self) -> String {
        match self.random.below(8) {
            0 => self.random.pick(&TREES).to_owned(),
            1 => self.random.pick(&CHECKOUTS).to_owned(),
            2 => "t0/usr".to_owned(),
            _ => "t0".to_owned(),
        }
    }

    fn checkout(&mut self) {
        let repository = self.repository();
        let mut options = self.some(&["-U", "-H", "-C"], 4);
        options.extend(self.some(&["--union", "--union-add", "--union-identical", "--whiteouts"], 6));
        options.extend(self.some(
            &["--process-passthrough-whiteouts", "--allow-noent", "-M", "--skip-list=skips", "--fsync=false"],
            12,
        ));
        if self.random.one_in(6) {
            options.push(vec![format!("--subpath={}", self.random.pick(&PATHS))]);
        }
        if options.iter().flatten().any(|word| word == "-U") && !self.random.one_in(10) {
            options.push(words(&["--disable-cache"]));
        }
        let rest = vec![self.revision(), self.random.pick(&CHECKOUTS).to_owned()];
        self.call(&repository, "checkout", options, rest);
    }

    /// Two commits on top of each other, in one place.
    fn layers(&mut self) {
        let repository = self.repository();
        for number in 0..2 {
            self.tree("t1");
            let branch = self.random.pick(&BRANCHES).to_owned();
            self.time += 1;
            let time = vec![format!("--timestamp=@{}", self.time)];
            self.call(&repository, "commit", vec![time], vec!["-b".to_owned(), branch, "t1".to_owned()]);
            self.commits.push(self.number);
            let commit = format!("@C{}@", self.number);
            let mut options = self.some(&["--whiteouts", "-M"], 6);
            if number > 0 || self.random.one_in(3) {
                let layer = self.random.pick(&["--union", "--union-add", "--union-add", "--union-identical"]);
                options.push(words(&[layer]));
            }
            self.call(&repository, "checkout", options, vec![commit, "layers".to_owned()]);
        }
    }

    fn ls(&mut self) {
        let repository = self.repository();
        let mut options = self.some(&["-R", "-C", "-X"], 2);
        options.extend(self.some(&["-d", "--nul-filenames-only"], 8));
        let mut rest = vec![self.revision()];
        for _ in 0..self.random.below(3) {
            rest.push(self.random.pick(&PATHS).to_owned());
        }
        self.call(&repository, "ls", options, rest);
    }

    fn refs(&mut self) {
        let repository = self.repository();
        let (branch, other) = (self.branch(), self.branch());
        let revision = self.revision();
        let (options, rest) = match self.random.below(8) {
            0 => (self.some(&["--list", "--revision", "--alias", "--collections"], 3), Vec::new()),
            1 => (
                self.some(&["--list", "--revision"], 2),
                vec![self.random.pick(&["foo", "m", "x86_64", "none"]).to_owned()],
            ),
            2 => (
                Vec::new(),
                vec![
                    "--delete".to_owned(),
                    self.random.pick(&["foo", "n", "m", "none", "foo/bar"]).to_owned(),
                ],
            ),
            3..6 => (self.some(&["--force"], 3), vec![format!("--create={branch}"), revision]),
            6 => {
                (self.some(&["--force"], 4), vec!["--alias".to_owned(), format!("--create={branch}"), other])
            }
            _ => {
                let odd = self.random.pick(&[
                    "foo",
                    "foo/bar/baz",
                    "-x",
                    "a b",
                    "/m",
                    "m/",
                    "..",
                    "remote:m",
                    "ä",
                    ".m",
                ]);
                (Vec::new(), vec![format!("--create={odd}"), revision])
            }
        };
        self.call(&repository, "refs", options, rest);
    }

    fn read(&mut self) {
        let repository = self.repository();
        let revision = self.revision();
        match self.random.below(5) {
            0 => self.call(&repository, "rev-parse", Vec::new(), vec![revision]),
            1 => {
                let options = self.some(&["--raw"], 3);
                self.call(&repository, "log", options, vec![revision]);
            }
            2 => {
                let all = [
                    "--raw",
                    "--print-metadata-key=version",
                    "--list-metadata-keys",
                    "--print-detached-metadata-key=d",
                    "--list-detached-metadata-keys",
                    "--print-related",
                    "--print-metadata-key=t",
                ];
                let options = self.some(&all, 5);
                self.call(&repository, "show", options, vec![revision]);
            }
            3 => {
                let path = self.random.pick(&PATHS).to_owned();
                self.call(&repository, "cat", Vec::new(), vec![revision, path]);
            }
            _ => self.call(&repository, "rev-parse", self_single(), vec![]),
        }
    }

    fn diff(&mut self) {
        let repository = self.repository();
        let options =
            self.some(&["--stats", "--fs-diff", "--no-xattrs", "--owner-uid=0", "--owner-gid=0"], 4);
        let mut rest = vec![self.revision()];
        if !self.random.one_in(4) {
            let other = if self.random.one_in(3) { "./t0".to_owned() } else { self.revision() };
            rest.push(other);
        }
        self.call(&repository, "diff", options, rest);
    }

    fn prune(&mut self) {
        let repository = self.repository();
        let mut options = self.some(&["--no-prune", "--refs-only", "--commit-only"], 3);
        options.extend(self.some(
            &[
                "--depth=0",
                "--depth=1",
                "--only-branch=m",
                "--retain-branch-depth=m=0",
                "--retain-branch-depth=foo/bar=1",
            ],
            6,
        ));
        if self.random.one_in(6) {
            let time = self.time.saturating_sub(self.random.below(5000) as u64);
            options.push(vec![format!("--keep-younger-than=@{time}")]);
        }
        if self.random.one_in(6) && !self.commits.is_empty() {
            let commit = self.random.pick(&self.commits);
            options.push(vec![format!("--delete-commit=@C{commit}@")]);
        }
        self.call(&repository, "prune", options, Vec::new());
    }

    fn fsck(&mut self) {
        let repository = self.repository();
        let options = self.some(
            &["--quiet", "--all", "--delete", "--verify-bindings", "--verify-back-refs", "--add-tombstones"],
            4,
        );
        self.call(&repository, "fsck", options, Vec::new());
    }

    fn pull_local(&mut self) {
        let (to, from) = (self.repository(), self.repository());
        let options = self.some(
            &[
                "--untrusted",
                "--commit-metadata-only",
                "--bareuseronly-files",
                "--disable-fsync",
                "--remote=origin",
                "--depth=1",
            ],
            6,
        );
        let mut rest = vec![from];
        for _ in 0..self.random.below(3) {
            rest.push(self.revision());
        }
        self.call(&to, "pull-local", options, rest);
    }

    fn config(&mut self) {
        let repository = self.repository();
        let key = self.random.pick(&[
            "core.mode",
            "core.x",
            "new.key",
            "core.min-free-space-size",
            "archive.zlib-level",
        ]);
        let rest = match self.random.below(4) {
            0..2 => words(&["get", key]),
            2 => words(&["set", "new.key", self.random.pick(&["1", "a b", "ü", "", "x;y", " lead"])]),
            _ => words(&["unset", self.random.pick(&["new.key", "core.x", "none.none"])]),
        };
        self.call(&repository, "config", Vec::new(), rest);
    }

    fn reset(&mut self) {
        let repository = self.repository();
        let rest = vec![self.branch(), self.revision()];
        self.call(&repository, "reset", Vec::new(), rest);
    }
}

fn self_single() -> Vec<Vec<String>> {
    vec![words(&["--single"])]
}

fn words(from: &[&str]) -> Vec<String> {
    from.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_case() {
        assert_eq!(case(7), case(7));
        assert_ne!(case(7), case(8));
    }

    #[test]
    fn every_command_comes() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            for step in case(seed).steps {
                if let Step::Run(call) = step {
                    seen.insert(call.command().to_owned());
                }
            }
        }
        let all = [
            "cat",
            "checkout",
            "commit",
            "config",
            "diff",
            "fsck",
            "init",
            "log",
            "ls",
            "prune",
            "pull-local",
            "refs",
            "reset",
            "rev-parse",
            "show",
        ];
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }
}
