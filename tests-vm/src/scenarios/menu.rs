// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deployment that is booted next: as `ostree admin status` tells it, and as the disk has it after the shutdown.

use anyhow::Result;

use super::expect::check;
use crate::disk::Disk;
use crate::report::Report;

/// Prints why the last finalization failed, if it did.
pub(super) const STAMP: &str = "stamp=boot/ostree/finalize-failure.stamp; [ ! -e $stamp ] || cat $stamp";

/// After the shutdown: nothing failed, and the default is `STATEROOT/CHECKSUM.SERIAL`.
pub(super) fn check_switched(disk: &Disk, expected: &str) -> Result<()> {
    let stamp = disk.run(STAMP, &[])?;
    check(stamp.is_empty(), "the finalization left no failure", &stamp)?;
    let deployment = disk.deployment()?;
    check(deployment == expected, &format!("{expected} is the default on the disk"), &deployment)
}

/// The first deployment of `status --json` is this commit, and has this mark.
pub(super) fn check_first(report: &Report, section: &str, commit: &str, mark: &str) -> Result<()> {
    let section = report.section(section)?;
    // The output is indented: one key a line, and a line of its own where a deployment ends.
    let row = || section.lines.iter().map(|line| line.trim()).take_while(|line| !line.starts_with('}'));
    let has = |key: &str, value: &str| {
        let expected = format!("\"{key}\": {value}");
        row().any(|line| line.trim_end_matches(',') == expected)
    };
    let holds = section.ok() && has("checksum", &format!("\"{commit}\"")) && has(mark, "true");
    check(holds, &format!("the first deployment is {commit} and {mark}"), section)
}

/// `status` for a person has a line that begins with these words, blanks before the mark of the running system aside.
pub(super) fn check_told(report: &Report, section: &str, words: &str) -> Result<()> {
    let section = report.section(section)?;
    let found = section.lines.iter().any(|line| line.trim_start().starts_with(words));
    check(section.ok() && found, &format!("status says {words:?}"), section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::expect;

    const GOOD: &str = r#"
@@ section json
{
  "deployments": [
    {
      "checksum": "new",
      "booted": true,
      "staged": false
    },
    {
      "checksum": "old",
      "booted": false,
      "staged": false
    }
  ]
}
@@ status 0
@@ section text
* debian new.0
@@ status 0
"#;

    fn verdict(report: &Report) -> Result<()> {
        check_first(report, "json", "new", "booted")?;
        check_told(report, "text", "* debian new.0")
    }

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("\"new\"", "\"other\""),
            ("\"booted\": true", "\"booted\": false"),
            ("  {\n      \"checksum\": \"new\"", "  {\n    },\n    {\n      \"checksum\": \"new\""),
            ("@@ status 0\n@@ section text", "@@ status 1\n@@ section text"),
            ("* debian", "  debian"),
            ("new.0", "new.1"),
            ("new.0\n@@ status 0", "new.0\n@@ status 1"),
        ];
        expect::assert_each_change_fails(GOOD, verdict, &changes);
    }
}
