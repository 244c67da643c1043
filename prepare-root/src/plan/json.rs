// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan for a program. Written by hand: a JSON library would be a tenth of the static program.

use std::fmt::Write;

use super::{Access, Mount, MountPlan, Source};

/// Counts changes that a reader has to know of.
const SCHEMA: u32 = 1;

impl MountPlan {
    /// The plan as one JSON object.
    pub fn to_json(&self) -> String {
        let deployment = &self.deployment;
        let path = &deployment.path;
        let fields = [
            ("schema", SCHEMA.to_string()),
            ("boot-link", string(&deployment.boot_link)),
            ("deployment", string(&format!("/{path}"))),
            ("stateroot", string(&path.stateroot)),
            ("checksum", string(&path.checksum.to_string())),
            ("deploy-serial", path.deploy_serial.to_string()),
            ("device", deployment.device.to_string()),
            ("inode", deployment.inode.to_string()),
            ("sysroot-readonly", self.sysroot_readonly.to_string()),
            ("mounts", array(self.mounts.iter().map(mount))),
            ("notes", array(self.notes.iter().map(|note| string(note)))),
        ];
        object(&fields)
    }
}

fn mount(mount: &Mount) -> String {
    let (kind, from) = match &mount.source {
        Source::PhysicalRoot => ("physical-root", "/".to_owned()),
        Source::Directory(path) => ("directory", format!("/{path}")),
        Source::HotfixOverlay => ("hotfix-overlay", String::new()),
    };
    let access = match mount.access {
        Access::Keep => "keep",
        Access::ReadOnly => "read-only",
        Access::Writable => "writable",
    };
    object(&[
        ("at", string(&format!("/{}", mount.at))),
        ("source", string(kind)),
        ("from", if from.is_empty() { "null".to_owned() } else { string(&from) }),
        ("access", string(access)),
        ("shared", mount.shared.to_string()),
    ])
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{value}", string(key))).collect();
    format!("{{{}}}", fields.join(","))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a String cannot fail.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn any_string_is_read_back(text in "\\PC*|[\\x00-\\x9f\"\\\\]*") {
            let parsed: String = serde_json::from_str(&super::string(&text)).unwrap();
            proptest::prop_assert_eq!(parsed, text);
        }
    }
}
