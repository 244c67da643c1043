// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this machine gets its Debian packages from, read from its own apt sources, both in the deb822 form and in the
//! form of one line each. No mirror is named in this repository.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// One place and the suites that apt takes from it.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// Debian's keys, where its package puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The mirror of the Debian archive that apt uses here.
pub(crate) fn mirror() -> Result<String> {
    let sources = sources()?;
    let uri = choose(&sources, host_release()?.as_deref()).context(
        "No Debian archive in /etc/apt/sources.list or /etc/apt/sources.list.d: add one and try again",
    )?;
    resolve_mirror_list(uri)
}

/// The apt sources of a machine that runs `release` and is like this one in all else: the release itself, its updates and
/// its security fixes. What this machine has added, as backports, is left out.
pub(crate) fn sources_of(release: &str) -> Result<String> {
    let host =
        host_release()?.context("/etc/os-release has no VERSION_CODENAME: a Debian machine is needed")?;
    let mut texts = Vec::new();
    for source in sources()? {
        let Some(suites) = suites_of(&source, &host, release) else { continue };
        let uri = resolve_mirror_list(&source.uri)?;
        texts.push(format!(
            "Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n"
        ));
    }
    texts.sort();
    texts.dedup();
    ensure!(
        !texts.is_empty(),
        "no apt source of Debian {host} in /etc/apt: {release} is taken from the same mirrors"
    );
    Ok(texts.join("\n"))
}

/// How apt reaches its sources here: proxies, and whether the mirror may be one that is frozen in time.
pub(crate) fn ways() -> Result<String> {
    let dump = crate::process::output(crate::process::command("apt-config").arg("dump"))?;
    Ok(kept_options(&dump))
}

fn kept_options(dump: &str) -> String {
    let kept = ["Acquire::http", "Acquire::Check-", "Acquire::Retries"];
    let lines = dump.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn sources() -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in source_files()? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => sources.extend(parse_lines(&text)),
        }
    }
    Ok(sources)
}

fn host_release() -> Result<Option<String>> {
    Ok(codename(&std::fs::read_to_string("/etc/os-release").context("Reading /etc/os-release")?))
}

/// The suites of a source with another release in place of the host's.
fn suites_of(source: &Source, host: &str, release: &str) -> Option<String> {
    let of = |suite: &String| match suite.strip_prefix(host)? {
        rest @ ("" | "-updates" | "-security") => Some(format!("{release}{rest}")),
        _ => None,
    };
    let suites: Vec<String> = source.suites.iter().filter_map(of).collect();
    (!suites.is_empty()).then(|| suites.join(" "))
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
    fn sources_of_another_release() {
        let all: Vec<Option<String>> =
            parse_deb822(DEB822).iter().map(|source| suites_of(source, "bookworm", "trixie")).collect();
        assert_eq!(all, [Some("trixie trixie-updates".to_owned()), Some("trixie-security".to_owned())]);
        let added = parse_lines("deb http://a bookworm-backports main\ndeb http://b nodistro main\n");
        assert!(added.iter().all(|source| suites_of(source, "bookworm", "bookworm").is_none()));
    }

    #[test]
    fn options_that_are_kept() {
        let dump = "APT \"\";\nAcquire::http::Proxy \"http://p:1\";\nAcquire::IndexTargets \"\";\n";
        assert_eq!(kept_options(dump), "Acquire::http::Proxy \"http://p:1\";\n");
    }

    #[test]
    fn the_codename() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n").as_deref(), Some("trixie"));
        assert_eq!(codename("ID=debian\n"), None);
    }
}
