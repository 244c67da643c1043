// SPDX-License-Identifier: MIT OR Apache-2.0
//! Package sources of another release: the host's own mirrors, with that release in place of the host's.
//!
//! No server is named here, so a machine behind a mirror or a proxy builds from what it can reach.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::command;

/// Debian's keys, where its package puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One mirror with the suites that the host takes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// Writes a configuration of apt for this release under `directory`.
#[context("Writing the package sources of Debian {release}")]
pub(crate) fn write(directory: &Path, release: &str) -> Result<()> {
    let host = host_release()?;
    let mut texts = Vec::new();
    for path in source_files()? {
        let text = fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        let sources = match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => parse_deb822(&text),
            _ => parse_lines(&text),
        };
        texts.extend(sources.iter().filter_map(|source| rewritten(source, &host, release)));
    }
    texts.sort();
    texts.dedup();
    if texts.is_empty() {
        bail!("no apt source of Debian {host} in /etc/apt: {release} is taken from the host's own mirrors");
    }
    let etc = directory.join("etc/apt");
    let files = [("sources.list.d/mkosi.sources", texts.join("\n")), ("apt.conf.d/99-host", host_options()?)];
    for (name, text) in files {
        let path = etc.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&etc))
            .with_context(|| format!("Creating {}", etc.display()))?;
        fs::write(&path, text).with_context(|| format!("Writing {}", path.display()))?;
    }
    Ok(())
}

/// The code name in `/etc/os-release`.
fn host_release() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("Reading /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name
        .context("/etc/os-release has no VERSION_CODENAME: a Debian host is needed")?
        .trim_matches('"')
        .to_owned())
}

fn source_files() -> Result<Vec<std::path::PathBuf>> {
    let mut files = vec![std::path::PathBuf::from("/etc/apt/sources.list")];
    for entry in fs::read_dir("/etc/apt/sources.list.d").context("Reading /etc/apt/sources.list.d")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sources" || extension == "list") {
            files.push(path);
        }
    }
    files.retain(|path| path.exists());
    files.sort();
    Ok(files)
}

/// Proxies of the host, and no complaint about a mirror that is frozen in time.
fn host_options() -> Result<String> {
    let dump = command::output(Command::new("apt-config").arg("dump"))?;
    let mut text = String::from("Acquire::Check-Valid-Until \"false\";\n");
    for line in dump.lines().filter(|line| line.starts_with("Acquire::http")) {
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// Reads the one-line form: `deb [options] URI SUITE COMPONENT...`.
fn parse_lines(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            sources.push(Source { uri, suites: vec![suite] });
        }
    }
    sources
}

/// Reads the paragraphs of a `.sources` file.
fn parse_deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut sources = Vec::new();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let words = |key: &str| -> Vec<String> {
            let value = paragraph.iter().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(key).then_some(value)
            });
            value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        if !words("Types").iter().any(|kind| kind == "deb") || words("Enabled") == ["no"] {
            continue;
        }
        for uri in words("URIs") {
            sources.push(Source { uri, suites: words("Suites") });
        }
    }
    sources
}

/// The paragraph for a release, if the source carries the host's release, its updates or its security fixes. Those sid
/// has not.
fn rewritten(source: &Source, host: &str, release: &str) -> Option<String> {
    if !["http:", "https:", "file:"].iter().any(|scheme| source.uri.starts_with(scheme)) {
        return None;
    }
    let suites: Vec<String> = source
        .suites
        .iter()
        .filter_map(|suite| match suite.strip_prefix(host)? {
            "" => Some(release.to_owned()),
            rest @ ("-updates" | "-security") if has_updates(release) => Some(format!("{release}{rest}")),
            _ => None,
        })
        .collect();
    let suites = suites.join(" ");
    (!suites.is_empty()).then(|| {
        let uri = &source.uri;
        format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n")
    })
}

/// Neither sid nor backports have suites beside them.
fn has_updates(release: &str) -> bool {
    release != "sid" && !release.ends_with("-backports")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let lines = "# deb http://no bookworm main\ndeb [arch=amd64 signed-by=/k] http://m/debian bookworm main contrib\n\
            deb-src http://m/debian bookworm main\ndeb http://m/sec bookworm-security main\ndeb\n";
        let expected = [
            Source { uri: "http://m/debian".into(), suites: vec!["bookworm".into()] },
            Source { uri: "http://m/sec".into(), suites: vec!["bookworm-security".into()] },
        ];
        assert_eq!(parse_lines(lines), expected);
        let paragraphs = "Types: deb\n# a remark\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\n\n\
            Types: deb-src\nURIs: http://m/src\nSuites: bookworm\n\nEnabled: no\nTypes: deb\nURIs: http://off\nSuites: bookworm\n";
        let expected = [Source {
            uri: "http://m/debian".into(),
            suites: vec!["bookworm".into(), "bookworm-updates".into()],
        }];
        assert_eq!(parse_deb822(paragraphs), expected);
    }

    #[test]
    fn the_release_is_replaced_and_the_rest_left_out() {
        let source = |uri: &str, suites: &[&str]| Source {
            uri: uri.into(),
            suites: suites.iter().map(|&suite| suite.to_owned()).collect(),
        };
        let text = rewritten(
            &source("http://m", &["bookworm", "bookworm-updates", "bookworm-backports"]),
            "bookworm",
            "trixie",
        );
        assert!(text.unwrap().contains("\nSuites: trixie trixie-updates\n"));
        let same = rewritten(&source("http://m", &["trixie-security"]), "trixie", "trixie").unwrap();
        assert!(same.contains("\nSuites: trixie-security\n"));
        let both = source("http://m", &["trixie", "trixie-updates"]);
        assert!(rewritten(&both, "trixie", "sid").unwrap().contains("\nSuites: sid\n"));
        let backports = rewritten(&both, "trixie", "trixie-backports").unwrap();
        assert!(backports.contains("\nSuites: trixie-backports\n"));
        for other in
            [source("http://m", &["nodistro"]), source("cdrom:[x]", &["bookworm"]), source("http://m", &[])]
        {
            assert_eq!(rewritten(&other, "bookworm", "trixie"), None);
        }
    }
}
