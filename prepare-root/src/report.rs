// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that can be read afterwards: in the journal where there is one, and in the kernel's log, which is there when
//! nothing else is.

use std::fs::OpenOptions;
use std::io::Write;

use crate::error::Error;
use crate::journal;
use crate::plan::MountPlan;

/// Finds the message about the deployment that was booted; the id that the C program uses.
pub const TARGET_MESSAGE_ID: &str = "7170336a73ba4601bad31af888aa0df7";

const KERNEL_LOG: &str = "/dev/kmsg";
const NAME: &str = "ostree-prepare-root";

/// `LOG_ERR` of `syslog(3)`.
pub const ERROR: u8 = 3;

/// `LOG_INFO` of `syslog(3)`.
pub const INFO: u8 = 6;

/// Says which deployment is booted, and the notes of the plan.
///
/// That nobody listens is no reason not to boot: failures here are dropped.
pub fn target(plan: &MountPlan) {
    let text = format!("Resolved OSTree target to: /{}", plan.deployment.path);
    let in_journal = journal::send(&journal_fields(plan, &text)).is_ok();
    if !in_journal {
        to_kernel_log(INFO, NAME, &text);
    }
    for note in &plan.notes {
        // Where there is a journal, this is in it already.
        let _ = writeln!(std::io::stdout(), "{note}");
        if !in_journal {
            to_kernel_log(INFO, NAME, note);
        }
    }
}

/// Says why the root was not prepared, on standard error and in the kernel's log.
pub fn failure(error: &Error) {
    let text = error.to_string();
    to_standard_error(NAME, &text);
    if !matches!(error, Error::Usage(_) | Error::Output(_)) {
        to_kernel_log(ERROR, NAME, &text);
    }
}

/// Writes a line of `program` to standard error. `eprintln!` would panic where nobody reads it any more.
pub fn to_standard_error(program: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "{program}: {text}");
}

fn journal_fields(plan: &MountPlan, text: &str) -> [(&'static str, String); 7] {
    let deployment = &plan.deployment;
    [
        ("MESSAGE", text.to_owned()),
        ("MESSAGE_ID", TARGET_MESSAGE_ID.to_owned()),
        ("PRIORITY", INFO.to_string()),
        ("SYSLOG_IDENTIFIER", NAME.to_owned()),
        ("DEPLOYMENT_PATH", format!("/{}", deployment.path)),
        ("DEPLOYMENT_DEVICE", deployment.device.to_string()),
        ("DEPLOYMENT_INODE", deployment.inode.to_string()),
    ]
}

/// Writes a line of `program` to the kernel's log, for those who look there because there is nothing else.
pub fn to_kernel_log(priority: u8, program: &str, text: &str) {
    let line = format!("<{priority}>{program}: {text}\n");
    let written =
        OpenOptions::new().write(true).open(KERNEL_LOG).and_then(|mut log| log.write_all(line.as_bytes()));
    // Without a kernel log there is only standard error, which has the text already.
    let _ = written;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::facts::Facts;
    use crate::resolve::Deployment;

    #[test]
    fn the_journal_entry_names_path_device_and_inode() {
        let path = format!("ostree/deploy/debian/deploy/{}.3", "1a".repeat(32));
        let deployment =
            Deployment { boot_link: String::new(), path: path.parse().unwrap(), device: 64, inode: 12 };
        let plan = MountPlan::new(&Config::parse(&[]).unwrap(), &deployment, &Facts::default()).unwrap();
        let fields = journal_fields(&plan, "text");
        for (key, value) in [
            ("MESSAGE", "text"),
            ("MESSAGE_ID", "7170336a73ba4601bad31af888aa0df7"),
            ("DEPLOYMENT_PATH", &format!("/{path}")),
            ("DEPLOYMENT_DEVICE", "64"),
            ("DEPLOYMENT_INODE", "12"),
        ] {
            assert!(fields.contains(&(key, value.to_owned())), "{key}={value}: {fields:?}");
        }
    }
}
