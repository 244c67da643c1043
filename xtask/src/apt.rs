// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this machine gets its Debian packages from, read from its own apt sources, both in the deb822 form and in the
//! form of one line each. No mirror is named in this repository.

use std::path::Path;

use anyhow::{Context, Result};

/// One place and the suites that apt takes from it.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// The mirror of the Debian archive that apt uses here.
pub(crate) fn mirror() -> Result<String> {
    let mut sources = Vec::new();
    for path in source_files()? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => sources.extend(parse_lines(&text)),
        }
    }
    let codename =
        crate::apt::codename(&std::fs::read_to_string("/etc/os-release").context("Reading /etc/os-release")?);
    let uri = choose(&sources, codename.as_deref()).context(
        "No Debian archive in /etc/apt/sources.list or /etc/apt/sources.list.d: add one and try again",
    )?;
    resolve_mirror_list(uri)
}

fn source_files() -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    let one = Path::new("/etc/apt/sources.list");
    if one.is_file() {
        files.push(one.to_owned());
    }
    let many = Path::new("/etc/apt/sources.list.d");
    if many.is_dir() {
        for entry in std::fs::read_dir(many).with_context(|| format!("Reading {}", many.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "list" || extension == "sources") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let disabled = field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
        let binary = field("Types").is_some_and(|types| types.split_whitespace().any(|kind| kind == "deb"));
        let (Some(uris), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        if disabled || !binary {
            continue;
        }
        let suites: Vec<String> = suites.split_whitespace().map(str::to_owned).collect();
        sources.extend(
            uris.split_whitespace().map(|uri| Source { uri: uri.to_owned(), suites: suites.clone() }),
        );
    }
    sources
}

fn parse_lines(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            // Options stand in brackets between the type and the address.
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace();
            Some(Source { uri: words.next()?.to_owned(), suites: vec![words.next()?.to_owned()] })
        })
        .collect()
}

/// The address that carries the release this machine runs: that one is the whole archive, where a vendor's source is not.
fn choose<'a>(sources: &'a [Source], codename: Option<&str>) -> Option<&'a str> {
    let carries = |source: &&Source, wanted: &str| source.suites.iter().any(|suite| suite == wanted);
    let names = codename.into_iter().chain(["bookworm", "trixie", "stable", "testing", "unstable", "sid"]);
    names
        .filter_map(|name| sources.iter().find(|source| carries(source, name)))
        .map(|found| found.uri.as_str())
        .next()
}

fn codename(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// Cloud images say `mirror+file:PATH`; the file holds the addresses.
fn resolve_mirror_list(uri: &str) -> Result<String> {
    let Some(rest) = uri.strip_prefix("mirror+file:") else { return Ok(uri.to_owned()) };
    let path = format!("/{}", rest.trim_start_matches('/'));
    let list = std::fs::read_to_string(&path).with_context(|| format!("Reading the mirror list {path}"))?;
    let first = list.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.and_then(|line| line.split_whitespace().next());
    Ok(first.with_context(|| format!("The mirror list {path} is empty"))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a remark\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
                          Components: main\n\nTypes: deb-src\nURIs: http://source.example/\nSuites: bookworm\n\n\
                          Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: bookworm\n\n\
                          Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n";

    #[test]
    fn deb822_sources() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2, "{sources:?}");
        assert_eq!(choose(&sources, Some("bookworm")), Some("http://mirror.example/debian"));
    }

    #[test]
    fn one_line_sources() {
        let sources = parse_lines(
            "# deb http://no.example x main\ndeb [arch=amd64 signed-by=/k] https://vendor.example/apt cloud main\n\
             deb-src http://no.example trixie main\ndeb http://mirror.example/debian trixie main\n",
        );
        assert_eq!(choose(&sources, Some("trixie")), Some("http://mirror.example/debian"));
        assert_eq!(choose(&sources[..1], Some("trixie")), None);
    }

    #[test]
    fn the_codename() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n").as_deref(), Some("trixie"));
        assert_eq!(codename("ID=debian\n"), None);
    }
}
